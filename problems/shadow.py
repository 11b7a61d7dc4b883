"""SHADOW: find a sphere from its shadow."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from invopt.rendering.bindings import Translation
from invopt.rendering.descriptions import area_light, camera, look_at, scale

from .scene import Scene
from .tasks.task import Task

__all__ = ["Shadow"]

# Distances from the wall. The sphere is behind the camera, so that it is never in the picture.
_CAMERA, _SPHERE, _LIGHT = 5.0, 6.0, 24.0
# Start, answer and largest distance of a random start from it along each axis (the authors' settings).
_SHADOW_START, _SHADOW_ANSWER, _SHADOW_SPREAD = np.array([-0.5, 2.5]), np.array([-1.5, 1.0]), 0.2
_MIDDLE = (_SHADOW_START + _SHADOW_ANSWER) / 2
# Bounds, as distances from the middle: the whole shadow is then in the picture.
_SHADOW_REACH = np.array([1.1, 1.2])


@frozen(kw_only=True, eq=False, slots=False)
class Shadow(Task):
    """Position of a sphere outside the picture, from its shadow on a textured wall.

    The paper's SHADOW. The unknowns are y and z of the sphere in scene units. At the default start its shadow and that
    of the target do not overlap. The bounds keep the shadow in the picture: without a shadow the loss would be half as
    large, which is a false minimum.

    Parameters
    ----------
    size : {"default", "tiny", "paper"}, default "default"
        64x64 pixels at 4 samples, 32x32 at 4, or 256x192 at 32 as in the paper.
    width, height, spp, reference_spp, reference_seed, shared_reference, depth, backend
        See `invopt.problems.tasks.task.Task`.
    """

    @cached_property
    def statement(self) -> Scene:
        """The task as a `Scene`, with the authors' start, answer and sigma."""
        low, high = (_MIDDLE - _SHADOW_REACH).tolist(), (_MIDDLE + _SHADOW_REACH).tolist()
        bounds = tuple(zip(low, high, strict=True))
        return self._scene(
            scene=self._description,
            parameters=[Translation("sphere", axes="yz", scale=1.0, bounds=bounds)],
            x0=_SHADOW_START,
            x_opt=_SHADOW_ANSWER,
            sigma=0.5,
        )

    def starts(self, rng: np.random.Generator, k: int) -> NDArray[np.float64]:
        """`k` starts of shape (k, 2) within 0.2 of the default one along each axis."""
        return _SHADOW_START + rng.uniform(-_SHADOW_SPREAD, _SHADOW_SPREAD, (k, 2))

    def _description(self) -> dict[str, Any]:
        """A wall, camera and sphere before it, a distant light, a surround."""
        width, height = self.resolution
        y, z = _MIDDLE.tolist()
        wall = look_at([0, y, z], [1, y, z], [0, 0, 1]) @ scale(12)
        sensor = camera(origin=[_CAMERA, y, z], target=[0, y, z], fov=60, width=width, height=height)
        texture = {"type": "bitmap", "raw": True, "bitmap": _wall_texture()}
        return {
            "type": "scene",
            "integrator": {"type": "path", "max_depth": self.depth},
            "sensor": sensor | {"fov_axis": "smaller"},
            "wall": {"type": "rectangle", "to_world": wall, "bsdf": {"type": "diffuse", "reflectance": texture}},
            "sphere": {"type": "sphere", "center": [_SPHERE, 0, 0], "radius": 0.6, "bsdf": {"type": "diffuse"}},
            # Its size gives the shadow a soft edge.
            "light": area_light(origin=[_LIGHT, y, z], target=[0, y, z], half_width=1.0, radiance=420.0),
            # Most scattered rays meet the surround, so that its emitter samples would be wasted.
            "surround": {"type": "constant", "radiance": 0.1, "sampling_weight": 0.01},
        }


def _wall_texture(n: int = 64) -> NDArray[np.float32]:
    """Planks that show in the shadow, with too little contrast to bias its position."""
    v, u = np.mgrid[0:n, 0:n] / n
    plank = 0.04 * np.sin(40 * np.pi * u) + 0.03 * ((8 * v).astype(int) % 2) + 0.02 * np.sin(14 * v + 9 * u)
    tint = np.array([1.0, 0.93, 0.82])
    texture: NDArray[np.float32] = ((0.6 + plank)[:, :, None] * tint).astype(np.float32)
    return texture
