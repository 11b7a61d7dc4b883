"""A live scene: loaded once, posed, rendered, compared with a reference image."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invopt.rendering import keys
from invopt.rendering.backend import Backend, active
from invopt.rendering.frozen import FrozenRender, owned

__all__ = ["LiveScene", "area_light", "camera", "rgb", "rotation_z"]


class LiveScene:
    """A scene in memory; one per process, for in LLVM mode every further one slows every render.

    Needs an active backend: call `activate` first. What moves should be an instance of a shape group: posing it costs
    a small update, where new vertices would rebuild every acceleration structure.

    Parameters
    ----------
    description : dict
        Mitsuba's scene dictionary.
    """

    def __init__(self, description: dict[str, Any]) -> None:
        import mitsuba as mi

        self._mi = mi
        self._backend = active()
        # Optimising would merge and rename objects, and with them the parameters to set.
        self._scene = mi.load_dict(description, optimize=False)
        self._params = mi.traverse(self._scene)
        self._renderer: FrozenRender | None = FrozenRender(self._scene)
        self._poses: dict[str, NDArray[np.float64]] = {}
        self._reference: Any = None

    def pose(self, object_id: str, matrix: NDArray[np.float64]) -> None:
        """Place an object by its 4x4 matrix from its own to world coordinates."""
        held = self._poses.get(object_id)
        if held is not None and np.array_equal(held, matrix):
            return
        mi = self._mi
        self._params[keys.to_world(object_id)] = mi.Transform4f(mi.ScalarTransform4f(matrix).matrix)
        self._params.update()
        self._poses[object_id] = matrix.copy()

    def set(self, key: str, value: Any) -> None:
        """Set any other parameter by Mitsuba's name."""
        if key not in self._params:
            raise KeyError(f"the scene has no parameter {key!r}")
        self._params[key] = owned(value)
        self._params.update()

    def image(self, *, seed: int, spp: int) -> NDArray[np.float32]:
        """Linear RGB image, shape (height, width, 3)."""
        return np.array(self._render(seed, spp), dtype=np.float32)

    def set_reference(self, image: NDArray[np.float32]) -> None:
        """Image of shape (height, width, 3) that `loss` and `residuals` compare with."""
        self._reference = image.copy() if self._backend is Backend.SCALAR else self._mi.TensorXf(image)

    def loss(self, *, seed: int, spp: int) -> float:
        """Mean over pixels and channels of (image - reference)^2; nan if any pixel is."""
        if self._backend is Backend.SCALAR:
            return float(np.mean(self.residuals(seed=seed, spp=spp) ** 2))
        import drjit as dr

        # Reduced where the image is: one number crosses over instead of all pixels.
        return float(dr.mean(dr.square(self._render(seed, spp) - self._reference)).array[0])

    def residuals(self, *, seed: int, spp: int) -> NDArray[np.float64]:
        """Pixels of image - reference, shape (height * width * 3,)."""
        difference: NDArray[np.float64] = np.array(self._render(seed, spp) - self._reference, dtype=np.float64)
        return difference.ravel()

    def close(self) -> None:
        """Drop the scene, so that it slows no other."""
        self._scene = self._params = self._reference = self._renderer = None
        gc.collect()

    def _render(self, seed: int, spp: int) -> Any:
        if self._renderer is None:
            raise ValueError("the scene is closed")
        return self._renderer(seed=seed, spp=spp)


def rotation_z(degrees: float) -> NDArray[np.float64]:
    """4x4 matrix of a rotation about the z axis."""
    angle = np.radians(degrees)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return matrix


def rgb(*value: float) -> dict[str, Any]:
    """Colour as Mitsuba takes it."""
    return {"type": "rgb", "value": list(value)}


def camera(*, origin: list[float], target: list[float], fov: float, width: int, height: int) -> dict[str, Any]:
    """Perspective camera, upright; a sample counts in its own pixel only, so that pixels are independent."""
    import mitsuba as mi

    return {
        "type": "perspective",
        "fov": fov,
        "fov_axis": "larger",
        "to_world": mi.ScalarTransform4f().look_at(origin=origin, target=target, up=[0, 0, 1]),
        "film": {
            "type": "hdrfilm",
            "width": width,
            "height": height,
            "rfilter": {"type": "box"},
            "pixel_format": "rgb",
            "component_format": "float32",
        },
        "sampler": {"type": "independent"},
    }


def area_light(
    *, origin: list[float], target: list[float], half_width: float, radiance: float, weight: float = 1.0
) -> dict[str, Any]:
    """Square light that faces a point; `weight` is how often it is sampled relative to the others."""
    import mitsuba as mi

    facing = mi.ScalarTransform4f().look_at(origin=origin, target=target, up=[0, 0, 1])
    return {
        "type": "rectangle",
        "to_world": facing @ mi.ScalarTransform4f().scale(half_width),
        "emitter": {"type": "area", "radiance": rgb(radiance, radiance, radiance), "sampling_weight": weight},
    }
