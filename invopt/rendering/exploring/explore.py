"""Explore a scene: list what can be unknown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invopt.core.machine.turn import one_at_a_time
from invopt.exceptions import SceneError
from invopt.rendering.backend import activate, active
from invopt.rendering.choice import Backend
from invopt.rendering.exploring.offer import Exploration, Offer
from invopt.rendering.parameter import Kind, Parameter, describe, owner_of
from invopt.rendering.placement import place_of
from invopt.rendering.reading import keys
from invopt.rendering.reading.dictionaries import as_description, as_variables
from invopt.rendering.reading.loading import Blueprint, load
from invopt.rendering.values import renderer

__all__ = ["explore"]

# Numbers of which all are shown; of more, their shape and range.
_FEW = 4
# Part of the last name of positive numbers that differ by factors: radiances and intensities.
_BRIGHT = ("radiance", "intensity", "irradiance", "scale")

# Upper bound of a number above 1, as a multiple of its value.
_TIMES = 2.0
# What changes how a scene is sampled, and not how it looks.
_NOT_OFFERED = ("sampling_weight", "sampling_rate")


@one_at_a_time()
def explore(scene: Any, *, variables: Mapping[str, Any] | None = None, backend: str | None = None) -> Exploration:
    """List what can be unknown in a scene: shapes, cameras, lights, materials, media.

    Parameters
    ----------
    scene : str, Path, dict or callable
        As for `invopt.problems.Scene`.
    variables : mapping, optional
        Values of the ``$variables`` of an XML file.
    backend : {"cuda", "llvm", "scalar"}, optional
        Mitsuba's backend; by default the fastest that works on this machine.
    """
    activate(backend)
    loaded, _ = load(Blueprint(description=as_description(scene), variables=as_variables(variables or {})))
    params = renderer().traverse(loaded)
    names = list(params.keys())
    offers = [*_objects(loaded, names), *_parameters(params, names)]
    return Exploration(tuple(offers), _map(loaded))


def _objects(scene: Any, names: list[str]) -> Iterator[Offer]:
    """Shapes, cameras and lights that can move."""
    for number, shape in enumerate(scene.shapes(), 1):
        box = shape.bbox()
        middle = (np.array(box.min) + np.array(box.max)).ravel() / 2
        yield Offer("shape", shape.id(), f"around {_numbers(middle)}", _motion(shape.id(), names), number)
    for camera in scene.sensors():
        width, height = (int(side) for side in camera.film().crop_size())
        yield Offer("camera", camera.id(), f"{width} x {height} pixels", f"CameraPose({camera.id()!r})")
    for light in scene.emitters():
        if binding := _motion(light.id(), names):
            yield Offer("light", light.id(), "", binding)


def _motion(name: str, names: list[str]) -> str:
    try:
        place_of(name, names)
    except SceneError:
        return ""
    return f"Translation({name!r})"


def _parameters(params: Any, names: list[str]) -> Iterator[Offer]:
    """Numbers, colours, textures and grids of lights, materials and media."""
    mi = renderer()

    kinds = (("light", mi.Emitter), ("material", mi.BSDF), ("medium", mi.Medium))
    for name in names:
        owner, _ = owner_of(params, name)
        kind = next((kind for kind, cls in kinds if isinstance(owner, cls)), None)
        if name.endswith(f".{keys.X_FOV}"):
            camera = name.removesuffix(f".{keys.X_FOV}")
            yield Offer("camera", name, _shown(describe(params, name)), f"FieldOfView({camera!r})")
        if kind is not None and not name.endswith(_NOT_OFFERED):
            parameter = describe(params, name)
            if binding := _binding(name, parameter):
                yield Offer(kind, name, _shown(parameter), binding)


def _binding(name: str, parameter: Parameter) -> str:
    short = name.removesuffix(".value").removesuffix(".data")
    if parameter.kind is Kind.COLOR:
        return f"Color({short!r})"
    if parameter.kind is Kind.TEXELS:
        return f"Texels({short!r})"
    if parameter.kind is Kind.NUMBER:
        positive = short.rpartition(".")[2] in _BRIGHT
        # Without a range of its own: a share, or what is not far from its value, as an index of refraction.
        high = min(parameter.high, max(1.0, _TIMES * parameter.size))
        return f"Value({short!r}, log=True)" if positive else f"Value({short!r}, bounds=(0, {high:.3g}))"
    if parameter.kind is Kind.GRID:
        return f"Numbers({name!r})"
    return ""


def _shown(parameter: Parameter) -> str:
    if parameter.value.size <= _FEW:
        return _numbers(parameter.value.ravel())
    shape = " x ".join(map(str, parameter.value.shape))
    return f"{shape} numbers, {parameter.value.min():.3g} to {parameter.value.max():.3g}"


def _numbers(values: NDArray[Any]) -> str:
    return ", ".join(f"{value + 0.0:.4g}" for value in values)


def _map(scene: Any) -> NDArray[np.int64]:
    """Number of the shape at the centre of each pixel of the first camera."""
    mi = renderer()

    sensor = scene.sensors()[0]
    width, height = (int(side) for side in sensor.film().crop_size())
    places = [(np.arange(side) + 0.5) / side for side in (width, height)]
    across, down = (grid.astype(np.float32) for grid in np.meshgrid(*places))
    if active() is Backend.SCALAR:
        points = zip(across.ravel().tolist(), down.ravel().tolist(), strict=True)
        seen = [_shape_at(scene, sensor, mi.Point2f(*point)) for point in points]
        numbers = {shape.id(): number for number, shape in enumerate(scene.shapes(), 1)}
        found = np.array([0 if shape is None else numbers[shape.id()] for shape in seen])
    else:
        import drjit as dr

        shapes = _shape_at(scene, sensor, mi.Point2f(mi.Float(across.ravel()), mi.Float(down.ravel())))
        # Untyped in Dr.Jit's stubs.
        number_of: Any = dr.reinterpret_array
        seen_ids = np.array(number_of(mi.UInt32, shapes))
        found = np.zeros(seen_ids.size)
        for number, shape in enumerate(scene.shapes(), 1):
            found[seen_ids == int(number_of(mi.UInt32, mi.ShapePtr(shape))[0])] = number
    return found.astype(np.int64).reshape(height, width)


def _shape_at(scene: Any, sensor: Any, place: Any) -> Any:
    ray, _ = sensor.sample_ray(0.0, 0.5, place, renderer().Point2f(0.5))
    return scene.ray_intersect_preliminary(ray).shape
