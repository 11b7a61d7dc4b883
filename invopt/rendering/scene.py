"""A live scene: loaded once, changed, rendered, compared with target pictures."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
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
from invopt.rendering.placement import moved, place_of
from invopt.rendering.reading import keys, loading
from invopt.rendering.recorded import owned
from invopt.rendering.values import from_mitsuba, to_mitsuba

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
    sensors : sequence of int, default (0,)
        Indices of the cameras that take pictures.
    loss : Loss
        Comparison of pictures with their targets.
    """

    @one_at_a_time()
    def __init__(self, blueprint: loading.Blueprint, sensors: Sequence[int] = (0,), loss: Loss | None = None) -> None:
        import mitsuba as mi

        self._mi = mi
        self._backend = active()
        self._scene, self._shared = loading.load(blueprint)
        self._params = mi.traverse(self._scene)
        self._renderer: Any = FrozenRender(self._scene)
        self._loss = MSE() if loss is None else loss
        self._own: dict[str, Parameter] = {}
        # The targets as arrays of numpy, and of the backend.
        self._pictures: list[NDArray[np.float32]] = []
        self._references: list[Any] = []
        self._sensors = [self._sensor(index) for index in sensors]
        self._check_channels()

    # Parameters and objects.

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

    def camera(self, object_id: str) -> Any:
        """Camera of this name; None if there is none."""
        return next((camera for camera in self._scene.sensors() if camera.id() == object_id), None)

    def idle_cameras(self) -> list[str]:
        """Names of the cameras that take no picture."""
        cameras = self._scene.sensors()
        return [camera.id() for number, camera in enumerate(cameras) if number not in self._sensors]

    def sizes(self) -> list[tuple[int, int]]:
        """Width and height of each camera's pictures in pixels."""
        films = [self._scene.sensors()[index].film().crop_size() for index in self._sensors]
        return [(int(size[0]), int(size[1])) for size in films]

    def channels(self) -> list[int]:
        """Numbers per pixel of each camera's pictures: 3 for colour, 1 for luminance."""
        return [int(self._scene.sensors()[index].film().base_channels_count()) for index in self._sensors]

    def residual_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the pictures that the residuals consist of."""
        films = zip(self.sizes(), self.channels(), strict=True)
        return tuple(shape for (w, h), channels in films for shape in self._loss.residual_shapes((h, w, channels)))

    # Changes.

    @one_at_a_time()
    def assign(self, values: Mapping[str, Tensor]) -> None:
        """Set parameters in one update, which rebuilds only what depends on them."""
        self._require_open()
        for key, value in values.items():
            name = self.resolve(key)
            self._params[name] = owned(to_mitsuba(self._params[name], self._checked(name, value))[0])
        if values:
            with loading.readable("cannot take these values"):
                self._params.update()

    @one_at_a_time()
    def set_references(self, pictures: Sequence[NDArray[np.float32]]) -> None:
        """Set the picture of each camera that `loss` and `residuals` compare with.

        Each has the height, width and channels of the camera.
        """
        self._pictures = [np.array(picture, dtype=np.float32) for picture in pictures]
        scalar = self._backend is Backend.SCALAR
        self._references = self._pictures if scalar else [self._mi.TensorXf(picture) for picture in self._pictures]

    # Pictures.

    @one_at_a_time()
    def images(self, *, seed: int, spp: int) -> list[NDArray[np.float32]]:
        """Linear pictures of shape (h, w, 3), or (h, w, 1) for luminance."""
        return [np.array(self._render(index, seed, spp), dtype=np.float32) for index in self._sensors]

    @one_at_a_time()
    def loss(self, *, seed: int, spp: int) -> float:
        """Loss, mean over the cameras; nan if a pixel is nan."""
        if self._backend is Backend.SCALAR or not self._loss.differentiable:
            pairs = zip(self.images(seed=seed, spp=spp), self._pictures, strict=True)
            return float(np.mean([self._loss.value(image, target) for image, target in pairs]))
        # Reduced on the device: one number is copied instead of all pixels.
        return float(self._reduced([self._render(index, seed, spp) for index in self._sensors])[0])

    @one_at_a_time()
    def residuals(self, *, seed: int, spp: int) -> NDArray[np.float64]:
        """Residuals whose mean square is the loss, shape (m,)."""
        parts = []
        for index, reference in zip(self._sensors, self._references, strict=True):
            found = self._loss.residuals(self._render(index, seed, spp), reference)
            parts.append(np.concatenate([np.array(part, dtype=np.float64).ravel() for part in found]))
        total = sum(part.size for part in parts)
        # All cameras count alike, whatever their size.
        return np.concatenate([part * (total / (len(parts) * part.size)) ** 0.5 for part in parts])

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
        images = [self._detached(index, seed, spp) for index in self._sensors]
        loss = self._reduced(images)
        dr.backward(loss)
        # Equal seeds would correlate the picture with its derivative and bias their product.
        other = (seed + _SEED_RANGE // 2) % _SEED_RANGE
        with self._adjoint(max_depth) as adjoint:
            for index, image in zip(self._sensors, images, strict=True):
                adjoint.render_backward(self._scene, self._params, dr.grad(image), index, seed=other, spp=spp)
        gradients = {}
        for key, leaf in leaves.items():
            gradient = from_mitsuba(dr.grad(leaf))
            gradients[key] = gradient.reshape(values[key].shape)
        return float(loss[0]), gradients

    @one_at_a_time()
    def close(self) -> None:
        """Close the scene, so that it does not slow another one."""
        self._scene = self._params = self._renderer = None
        self._references = []
        gc.collect()

    def _reduced(self, images: list[Any]) -> Any:
        """Loss of pictures, mean over the cameras, as a Dr.Jit number."""
        total: Any = 0.0
        for image, reference in zip(images, self._references, strict=True):
            value, count = self._loss.total(image, reference)
            total = total + value / (count * len(images))
        return total

    def _render(self, sensor: int, seed: int, spp: int) -> Any:
        self._require_open()
        return self._renderer(seed=seed, spp=spp, sensor=sensor)

    def _require_open(self) -> None:
        if self._scene is None:
            raise ValueError("the scene is closed")

    def _detached(self, sensor: int, seed: int, spp: int) -> Any:
        """Picture detached from all parameters, which collects its own derivative."""
        import drjit as dr

        # Untyped in Dr.Jit's stubs.
        suspended: Any = dr.suspend_grad
        with suspended():
            image = dr.detach(self._mi.render(self._scene, sensor=sensor, spp=spp, seed=seed))
        dr.enable_grad(image)
        return image

    @contextmanager
    def _adjoint(self, max_depth: int | None) -> Iterator[Any]:
        """The scene's integrator, with paths of at most `max_depth`."""
        integrator = self._scene.integrator()
        kept = integrator.max_depth
        if max_depth is not None:
            integrator.max_depth = min(max_depth, kept)
        try:
            yield integrator
        finally:
            integrator.max_depth = kept

    def _checked(self, key: str, value: Tensor) -> NDArray[np.float64]:
        array: NDArray[np.float64] = value.detach().numpy()
        parameter = self.parameter(key)
        own = parameter.value
        if parameter.kind is Kind.DISCRETE:
            raise SceneError(f"{shown(key)} is {parameter.kind.value}, which no binding can set")
        if array.size != own.size:
            raise SceneError(f"{shown(key)} takes {own.size} numbers, of shape {own.shape}, got shape {array.shape}")
        return array.reshape(own.shape)

    def _check_channels(self) -> None:
        """Refuse an integrator that adds channels to the picture: no target has them."""
        if names := self._scene.integrator().aov_names():
            raise SceneError(
                f"the integrator adds {', '.join(names)} to its pictures, which no target has: use an integrator "
                f"without them, such as 'path'"
            )

    def _sensor(self, index: int) -> int:
        count = len(self._scene.sensors())
        if not 0 <= index < count:
            raise SceneError(f"'sensors' must be below {count}, the number of cameras of the scene: {index}")
        return index
