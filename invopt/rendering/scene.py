"""A live scene: loaded once, changed, rendered, compared with target pictures."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.formatting import shown
from invopt.core.machine.turn import one_at_a_time
from invopt.exceptions import SceneError
from invopt.rendering.backend import active
from invopt.rendering.choice import Backend
from invopt.rendering.frozen import FrozenRender
from invopt.rendering.losses import MSE, Loss
from invopt.rendering.parameter import Kind, Parameter, describe
from invopt.rendering.photographs.comparisons import Comparisons
from invopt.rendering.photographs.target import Target
from invopt.rendering.pictures.adjoint import detached_picture, limited
from invopt.rendering.placement import moved, place_of
from invopt.rendering.reading import keys, loading
from invopt.rendering.recorded import owned
from invopt.rendering.shading.booking import Booked
from invopt.rendering.shading.recorder import Recorder
from invopt.rendering.values import from_mitsuba, to_mitsuba
from invopt.rendering.views import View, check_channels, number_of

__all__ = ["LiveScene"]

# Seeds of renders are below this; a derivative has the seed that is half of the range away.
_SEED_RANGE = 2**31


class LiveScene:
    """A scene in memory; one per process.

    In LLVM mode, each further scene slows every render.

    Needs an active backend: call `activate` first.

    Parameters
    ----------
    blueprint : Blueprint
        The scene, and the shapes that will move.
    views : sequence of View, optional
        The pictures that are taken; by default one, of the first camera.
    """

    @one_at_a_time()
    def __init__(self, blueprint: loading.Blueprint, views: Sequence[View] = ()) -> None:
        import mitsuba as mi

        self._mi = mi
        self._backend = active()
        self._scene, self._shared = loading.load(blueprint)
        self._params = mi.traverse(self._scene)
        self._renderer: Any = FrozenRender(self._scene)
        self._own: dict[str, Parameter] = {}
        self._comparisons: Comparisons
        self._recorder: Recorder | None = None
        self._sensors = [number_of(view.sensor, self._scene) for view in views or (View(),)]
        self._changes = [self._resolved(view.changes) for view in views or (View(),)]
        check_channels(self._scene)

    def resolve(self, key: str) -> str:
        """Return Mitsuba's name for `key`; an unknown key is an error with suggestions."""
        return keys.resolve(key, self._params.keys(), self._shared)

    @one_at_a_time()
    def parameter(self, key: str) -> Parameter:
        """Parameter as the scene was loaded, whatever has been assigned since."""
        key = self.resolve(key)
        if key not in self._own:
            self._own[key] = describe(self._params, key)
        return self._own[key]

    def own(self, key: str) -> NDArray[np.float64]:
        """Value of a parameter as the scene was loaded."""
        return self.parameter(key).value

    @one_at_a_time()
    def values(self) -> dict[str, NDArray[np.float64]]:
        """Current values of all numerical parameters, by Mitsuba's names."""
        found = {name: self._params[name] for name in self._params.keys()}  # noqa: SIM118 - not a dictionary
        return {name: from_mitsuba(value) for name, value in found.items() if not isinstance(value, str)}

    def differentiable(self, key: str) -> bool:
        """Whether Mitsuba has a derivative with respect to a parameter."""
        flags = self._params.flags(self.resolve(key))
        return not bool(int(flags) & int(self._mi.ParamFlags.NonDifferentiable))

    def place_of(self, object_id: str) -> str:
        """Name of the parameter that places an object: pose, vertices or position."""
        return place_of(object_id, list(self._params.keys()))

    def center_of(self, object_id: str) -> NDArray[np.float64]:
        """Middle of a shape's bounding box as loaded; position of a camera or a light."""
        for shape in self._scene.shapes():
            if shape.id() == object_id:
                box = shape.bbox()
                return (np.array(box.min, dtype=np.float64).ravel() + np.array(box.max, dtype=np.float64).ravel()) / 2
        place = self.own(keys.of(object_id, self.place_of(object_id)))
        return place[:3, 3] if place.shape == (4, 4) else place.ravel()

    def moved(self, object_id: str, motion: Tensor, *, local: bool = False) -> dict[str, Tensor]:
        """Values that move an object by a 4x4 matrix; differentiable.

        The matrix is in the frame of the world or, if `local`, of the object.
        """
        return moved(object_id, self.place_of(object_id), self.own, motion, local=local)

    def emitter(self, object_id: str) -> Any:
        """Light of this name; None if there is none."""
        return next((emitter for emitter in self._scene.emitters() if emitter.id() == object_id), None)

    def brightness(self) -> list[str] | None:
        """Names of the parameters that make the lights bright; None if a light has none."""
        found = [name for name in self._params.keys() if keys.is_brightness(name)]  # noqa: SIM118 - not a dictionary
        owners = {name.removesuffix(".value").removesuffix(".data").rpartition(".")[0] for name in found}
        return found if len(owners) >= len(self._scene.emitters()) else None

    def integrator(self) -> Any:
        """Mitsuba's integrator of the scene."""
        return self._scene.integrator()

    def camera(self, object_id: str) -> Any:
        """Camera of this name; None if there is none."""
        return next((camera for camera in self._scene.sensors() if camera.id() == object_id), None)

    def idle_cameras(self) -> list[str]:
        """Names of the cameras that take no picture."""
        cameras = self._scene.sensors()
        return [camera.id() for number, camera in enumerate(cameras) if number not in self._sensors]

    def sizes(self) -> list[tuple[int, int]]:
        """Width and height of each camera's pictures in pixels."""
        sizes = [film.crop_size() for film in self.films()]
        return [(int(size[0]), int(size[1])) for size in sizes]

    def channels(self) -> list[int]:
        """Numbers per pixel of each camera's pictures: 3 for colour, 1 for luminance."""
        return [int(film.base_channels_count()) for film in self.films()]

    def films(self) -> list[Any]:
        """Mitsuba's film of each camera."""
        return [self._scene.sensors()[index].film() for index in self._sensors]

    # Changes.

    @one_at_a_time()
    def assign(self, values: Mapping[str, Tensor]) -> None:
        """Set parameters in one update, which rebuilds only what depends on them."""
        self._require_open()
        names = {self.resolve(key): value for key, value in values.items()}
        if names:
            checked = {name: self._checked(name, value) for name, value in names.items()}
            self._set({name: owned(to_mitsuba(self._params[name], value)[0]) for name, value in checked.items()})

    @one_at_a_time()
    def compare(self, loss: Loss, targets: Sequence[Target]) -> Comparisons:
        """Compare with these targets from now on, each of its camera's size."""
        self._comparisons = Comparisons(loss, targets, on_device=self._backend is not Backend.SCALAR)
        return self._comparisons

    # Pictures.

    @one_at_a_time()
    def images(self, *, seed: int, spp: int) -> list[NDArray[np.float32]]:
        """Linear pictures of shape (h, w, 3), or (h, w, 1) for luminance."""
        return [np.array(image, dtype=np.float32) for image in self._renders(seed, spp)]

    @one_at_a_time()
    def loss(self, *, seed: int, spp: int) -> float:
        """Loss, mean over the pictures; nan if a pixel is nan."""
        return self._comparisons.value(self._renders(seed, spp))

    @one_at_a_time()
    def residuals(self, *, seed: int, spp: int) -> NDArray[np.float64]:
        """Residuals whose mean square is the loss, shape (m,)."""
        return self._comparisons.residuals(self._renders(seed, spp))

    @one_at_a_time()
    def derivative(
        self, values: Mapping[str, Tensor], *, seed: int, spp: int, max_depth: int | None = None
    ) -> tuple[float, dict[str, NDArray[np.float64]]]:
        """Loss at `values`, and its derivative with respect to each of them.

        One forward and one backward pass. Light paths longer than `max_depth`, by default that of the scene, have no
        derivative.
        """
        import drjit as dr

        leaves = {}
        for key, value in values.items():
            name = self.resolve(key)
            self._params[name], leaves[key] = to_mitsuba(self._params[name], self._checked(name, value), attach=True)
        self._params.update()
        images = []
        for index, changes in zip(self._sensors, self._changes, strict=True):
            with self._changed(changes):
                images.append(detached_picture(self._scene, index, seed, spp))
        loss = self._comparisons.mean(images)
        dr.backward(loss)
        # Equal seeds would correlate the picture with its derivative and bias their product.
        other = (seed + _SEED_RANGE // 2) % _SEED_RANGE
        with limited(self._scene.integrator(), max_depth) as adjoint:
            for index, changes, image in zip(self._sensors, self._changes, images, strict=True):
                with self._changed(changes):
                    adjoint.render_backward(self._scene, self._params, dr.grad(image), index, seed=other, spp=spp)
        gradients = {key: from_mitsuba(dr.grad(leaf)).reshape(values[key].shape) for key, leaf in leaves.items()}
        return float(loss[0]), gradients

    @property
    def recorder(self) -> Recorder:
        """Recorder of pictures with their Jacobians; SceneError if they cannot be."""
        if self._recorder is None:
            recorder = Recorder(self._scene, self._params)
            recorder.check(self._sensors)
            self._recorder = recorder
        return self._recorder

    @one_at_a_time()
    def recorded(self, names: Sequence[str], *, seed: int, spp: int) -> list[tuple[list[str], Booked]]:
        """Pictures with Jacobians, and by which parameters: those a view keeps."""
        found = []
        for sensor, changes in zip(self._sensors, self._changes, strict=True):
            free = [name for name in names if name not in changes]
            values = {name: from_mitsuba(self._params[name]) for name in free}
            with self._changed(changes):
                found.append((free, self.recorder.record(values, sensor=sensor, seed=seed, spp=spp)))
        return found

    @one_at_a_time()
    def close(self) -> None:
        """Close the scene, so that it does not slow another one."""
        self._scene = self._params = self._renderer = self._recorder = None
        self._comparisons = Comparisons(MSE(), [], on_device=False)
        gc.collect()

    def _renders(self, seed: int, spp: int) -> list[Any]:
        """Pictures of the backend; arrays of numpy on the scalar one."""
        self._require_open()
        found = []
        for sensor, changes in zip(self._sensors, self._changes, strict=True):
            with self._changed(changes):
                image = self._renderer(seed=seed, spp=spp, sensor=sensor)
            found.append(np.array(image, dtype=np.float32) if self._backend is Backend.SCALAR else image)
        return found

    @contextmanager
    def _changed(self, changes: Mapping[str, NDArray[np.float64]]) -> Iterator[None]:
        """The scene with other values of some parameters."""
        if not changes:
            yield
            return
        kept = {name: type(self._params[name])(self._params[name]) for name in changes}
        self._set({name: owned(to_mitsuba(kept[name], value)[0]) for name, value in changes.items()})
        try:
            yield
        finally:
            self._set(kept)

    def _set(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            self._params[name] = value
        with loading.readable("cannot take these values"):
            self._params.update()

    def _resolved(self, changes: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
        """Changes by Mitsuba's names, in the shapes of the parameters.

        One number is repeated.
        """
        found = {}
        for key, value in changes.items():
            own = self.own(key)
            numbers = torch.from_numpy(np.broadcast_to(value, own.shape).copy() if value.size == 1 else value)
            found[self.resolve(key)] = self._checked(key, numbers)
        return found

    def _require_open(self) -> None:
        if self._scene is None:
            raise ValueError("the scene is closed")

    def _checked(self, key: str, value: Tensor) -> NDArray[np.float64]:
        array: NDArray[np.float64] = value.detach().numpy()
        parameter = self.parameter(key)
        own = parameter.value
        if parameter.kind is Kind.DISCRETE:
            raise SceneError(f"{shown(key)} is {parameter.kind.value}, which no binding can set")
        if array.size != own.size:
            raise SceneError(f"{shown(key)} takes {own.size} numbers, of shape {own.shape}, got shape {array.shape}")
        return array.reshape(own.shape)
