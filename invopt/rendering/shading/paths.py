"""Light paths of one picture, with what each of their vertices contributes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from invopt.rendering.recorded import Recorded

__all__ = ["Lengths", "Tracer", "Vertex"]

Floats = NDArray[np.float32]
Indices = NDArray[np.int32]

# Largest probability with which Russian roulette lets a path go on (Mitsuba's path integrator).
_MOST_SURVIVAL = 0.95


class Lengths(NamedTuple):
    """Longest path, and the depth from which Russian roulette ends paths."""

    max_depth: int
    rr_depth: int


class Vertex(NamedTuple):
    """All paths at one depth; arrays have one column for each of the n paths.

    Attributes
    ----------
    hit : ndarray, shape (3, n)
        Light of an emitter that the ray has hit, as the picture counts it.
    hit_light : ndarray of int, shape (n,)
        Number of this emitter, -1 if it is none of those asked for.
    hit_direction : ndarray, shape (3, n)
        Direction of the ray.
    joined : ndarray, shape (3, n)
        Light of the emitter that was sampled from here, as the picture counts it.
    joined_light, joined_direction
        As of the emitter that was hit.
    material : ndarray of int, shape (n,)
        Number of the material of the surface, -1 if it is none of those asked for.
    uv : ndarray, shape (2, n)
        Texture coordinates of the surface.
    """

    hit: Floats
    hit_light: Indices
    hit_direction: Floats
    joined: Floats
    joined_light: Indices
    joined_direction: Floats
    material: Indices
    uv: Floats


class Tracer:
    """Traces paths of a scene as Mitsuba's path integrator does with the same seed.

    Random numbers are drawn in the same order, so that the picture is the same up to rounding. As a render, it is
    recorded once and launched again; see `Recorded`.

    Parameters
    ----------
    lengths : Lengths
        Lengths of the paths.
    materials : sequence of (mitsuba.BSDF, int or None)
        Materials to tell from each other. The number is the side of a two-sided one, 0 in front and 1 behind.
    lights : sequence of mitsuba.Emitter
        Emitters to tell from each other.
    """

    def __init__(self, lengths: Lengths, materials: Sequence[Any], lights: Sequence[Any]) -> None:
        self._lengths = lengths
        self._materials, self._lights = materials, lights
        self._program = Recorded(self._traced)
        # Steps after which no path was left so far, of each camera.
        self._steps: dict[int, int] = {}

    def __call__(self, scene: Any, *, sensor: int, seed: int, spp: int) -> list[Vertex]:
        """Paths of a picture, by depth; arguments as of a render."""
        import mitsuba as mi

        width, height = scene.sensors()[sensor].film().crop_size()
        while True:
            steps = self._steps.setdefault(sensor, 1)
            *outputs, left = self._program(scene, mi.UInt32(seed), spp, sensor, steps, kind=(sensor, spp, steps))
            if steps == self._lengths.max_depth or not np.array(left).any():
                break
            self._steps[sensor] += 1
        count = int(width) * int(height) * spp
        return [
            _as_vertex(outputs[i : i + len(Vertex._fields)], count) for i in range(0, len(outputs), len(Vertex._fields))
        ]

    def _traced(self, scene: Any, seed: Any, spp: int, sensor: int, steps: int) -> list[Any]:
        """Fields of the vertices, one after the other, and whether each path goes on."""
        state = _started(scene, sensor, seed, spp)
        found: list[Any] = []
        for depth in range(1, steps + 1):
            last, roulette = depth == self._lengths.max_depth, depth >= self._lengths.rr_depth
            found += _advance(scene, state, self._materials, self._lights, last=last, roulette=roulette)
        return [*found, state.active]


class _State:
    """Variables of the loop of a path integrator."""

    def __init__(self, count: int, sampler: Any, ray: Any) -> None:
        import drjit as dr
        import mitsuba as mi

        self.count = count
        self.sampler = sampler
        self.ray = ray
        self.throughput = mi.Spectrum(1)
        self.eta = mi.Float(1)
        self.before: Any = dr.zeros(mi.Interaction3f)
        self.pdf = mi.Float(1)
        self.delta = mi.Bool(True)
        self.active = dr.full(mi.Bool, True, count)


def _started(scene: Any, sensor: int, seed: Any, spp: int) -> _State:
    """Rays of the camera, one for each sample of a pixel."""
    import drjit as dr
    import mitsuba as mi

    camera = scene.sensors()[sensor]
    film = camera.film()
    width, height = (int(size) for size in film.crop_size())
    count = width * height * spp
    sampler = camera.sampler().clone()
    sampler.set_sample_count(spp)
    sampler.seed(seed, count)
    pixel = dr.arange(mi.UInt32, count) // dr.opaque(mi.UInt32, spp)
    corner = mi.Vector2f(mi.Float(pixel % width), mi.Float(pixel // width))
    # Crops are placed as by the integrator: samples are relative to the crop.
    scale = mi.Vector2f(1 / width, 1 / height)
    place = (corner + sampler.next_2d()) * scale
    aperture = sampler.next_2d() if camera.needs_aperture_sample() else mi.Point2f(0.5)
    time = mi.Float(camera.shutter_open())
    if camera.shutter_open_time() > 0:
        time = time + sampler.next_1d() * camera.shutter_open_time()
    ray, weight = camera.sample_ray_differential(time, mi.Float(0), mi.Point2f(place), aperture)
    state = _State(count, sampler, mi.Ray3f(ray))
    state.throughput = state.throughput * weight
    return state


def _advance(
    scene: Any, state: _State, materials: Sequence[Any], lights: Sequence[Any], *, last: bool, roulette: bool
) -> list[Any]:
    """One step of all paths: what it contributes; the state is moved on."""
    import drjit as dr
    import mitsuba as mi

    si = scene.ray_intersect(state.ray, mi.RayFlags.All, state.active)
    emitter = si.emitter(scene, state.active)
    ds = mi.DirectionSample3f(scene, si, state.before)
    chance = scene.pdf_emitter_direction(state.before, ds, ~state.delta & state.active)
    mis = dr.select(state.delta, 1, _power(state.pdf, chance))
    hit = dr.select(state.active, state.throughput * emitter.eval(si, state.active) * mis, 0)
    outputs = [hit, _number_of(emitter, lights, mi.EmitterPtr), mi.Vector3f(state.ray.d)]
    if last:
        dark, none = dr.zeros(mi.Spectrum), mi.Int32(-1)
        outputs += [dark, none, dr.zeros(mi.Vector3f), none, dr.zeros(mi.Point2f)]
        dr.eval(outputs)
        return outputs
    active = state.active & si.is_valid()
    bsdf = si.bsdf(state.ray)
    smooth = active & mi.has_flag(bsdf.flags(), mi.BSDFFlags.Smooth)
    ds, light = scene.sample_emitter_direction(si, state.sampler.next_2d(), True, smooth)
    smooth &= ds.pdf != 0
    wo = si.to_local(ds.d)
    which, where = state.sampler.next_1d(), state.sampler.next_2d()
    value, pdf, sample, weight = bsdf.eval_pdf_sample(mi.BSDFContext(), si, wo, which, where, active)
    mis = dr.select(ds.delta, 1, _power(ds.pdf, pdf))
    outputs += [dr.select(smooth, state.throughput * value * light * mis, 0)]
    outputs += [_number_of(ds.emitter, lights, mi.EmitterPtr), mi.Vector3f(ds.d)]
    outputs += [_material_of(bsdf, si, materials), mi.Point2f(si.uv)]
    state.ray = si.spawn_ray(si.to_world(sample.wo))
    state.throughput = state.throughput * weight
    state.eta = state.eta * sample.eta
    state.before, state.pdf = mi.Interaction3f(si), sample.pdf
    state.delta = mi.has_flag(sample.sampled_type, mi.BSDFFlags.Delta)
    most: Any = dr.max(state.throughput)
    state.active = active & (most != 0)
    survives = state.sampler.next_1d()
    if roulette:
        chance = dr.minimum(most * dr.square(state.eta), _MOST_SURVIVAL)
        state.throughput = state.throughput * dr.rcp(chance)
        state.active &= survives < chance
    moved = [state.ray, state.throughput, state.eta, state.before, state.pdf, state.delta, state.active]
    state.sampler.schedule_state()
    dr.eval(outputs, moved)
    return outputs


def _power(pdf: Any, other: Any) -> Any:
    """Weight of one of two ways to sample, by the power heuristic."""
    import drjit as dr

    squared = dr.square(pdf)
    weight = squared / (squared + dr.square(other))
    return dr.select(dr.isfinite(weight), weight, 0)


def _number_of(pointer: Any, objects: Sequence[Any], kind: Any) -> Any:
    """Number of the object that a pointer points to; -1 if it is none of them."""
    import drjit as dr
    import mitsuba as mi

    found = dr.full(mi.Int32, -1, dr.width(pointer))
    for number, item in enumerate(objects):
        found = dr.select(pointer == kind(item), number, found)
    return found


def _material_of(pointer: Any, si: Any, materials: Sequence[Any]) -> Any:
    """Number of the material at a surface; -1 if it is none of them."""
    import drjit as dr
    import mitsuba as mi

    found = dr.full(mi.Int32, -1, dr.width(pointer))
    for number, (item, side) in enumerate(materials):
        same = pointer == mi.BSDFPtr(item)
        if side is not None:
            same &= (si.wi.z > 0) if side == 0 else (si.wi.z < 0)
        found = dr.select(same & si.is_valid(), number, found)
    return found


def _as_vertex(outputs: list[Any], count: int) -> Vertex:
    """Arrays of numpy, of `count` paths each."""
    return Vertex(*(_spread(np.array(each), count) for each in outputs))


def _spread(array: NDArray[Any], count: int) -> NDArray[Any]:
    """Repeat what is the same for all paths."""
    return array if array.shape[-1] == count else np.broadcast_to(array, (*array.shape[:-1], count))
