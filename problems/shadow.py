"""SHADOW: find a sphere from its shadow alone."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from invopt.rendering.bindings import Translation
from invopt.rendering.descriptions import area_light, camera, look_at, scale

from .scene import Scene
from .tasks.task import Task

__all__ = ["Shadow"]

# Distances from the wall: the sphere is behind the camera, so that it is never in the picture.
_CAMERA, _SPHERE, _LIGHT = 5.0, 6.0, 24.0
_START, _ANSWER, _SPREAD = np.array([-0.5, 2.5]), np.array([-1.5, 1.0]), 0.2
_MIDDLE = (_START + _ANSWER) / 2


@frozen(kw_only=True, eq=False, slots=False)
class Shadow(Task):
    """Two coordinates of a sphere outside the picture, from its shadow on a textured wall.

    The unknowns are y and z of the sphere, in scene units. At the start its shadow and that of the target do not
    overlap. The view is 60 degrees wide, and the bounds keep the shadow inside it: a shadow that left would halve the
    loss, and lead away.

    Parameters
    ----------
    size : {"default", "tiny", "paper"}, default "default"
        64x64 pixels at 4 samples, 32x32 at 4, or 256x192 at 32 as in the paper.
    width, height, spp, reference_spp, reference_seed, shared_reference, depth, backend
        As of every rendered task, see `invopt.problems.tasks.task.Task`.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or range.
    """

    sizes: ClassVar[dict[str, tuple[int, int, int]]] = {
        "tiny": (32, 32, 4),
        "default": (64, 64, 4),
        "paper": (256, 192, 32),
    }

    @cached_property
    def statement(self) -> Scene:
        """Position of the sphere; the paper's start, answer and width."""
        (y, z), reach = _MIDDLE, (1.1, 1.2)
        bounds = ((y - reach[0], y + reach[0]), (z - reach[1], z + reach[1]))
        return self._state(
            scene=self._description,
            parameters=[Translation("sphere", axes="yz", scale=1.0, bounds=bounds)],
            x0=_START,
            x_opt=_ANSWER,
            sigma=0.5,
        )

    def starts(self, rng: np.random.Generator, k: int) -> NDArray[np.float64]:
        """`k` starts of shape (k, 2), up to 0.2 from the default one along each axis."""
        return _START + rng.uniform(-_SPREAD, _SPREAD, (k, 2))

    def _description(self) -> dict[str, Any]:
        """Scene: wall at x = 0, camera and sphere before it, a distant light behind them, a soft surround."""
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
            # As wide as to give the shadow a soft edge.
            "light": area_light(origin=[_LIGHT, y, z], target=[0, y, z], half_width=1.0, radiance=420.0),
            # Rays that bounce find an even surround; sampling it too would only take samples from the light.
            "surround": {"type": "constant", "radiance": 0.1, "sampling_weight": 0.01},
        }


def _wall_texture(n: int = 64) -> NDArray[np.float32]:
    """Planks: enough to be seen in the shadow, too pale to decide where a shadow shows most."""
    v, u = np.mgrid[0:n, 0:n] / n
    plank = 0.04 * np.sin(40 * np.pi * u) + 0.03 * ((8 * v).astype(int) % 2) + 0.02 * np.sin(14 * v + 9 * u)
    tint = np.array([1.0, 0.93, 0.82])
    texture: NDArray[np.float32] = ((0.6 + plank)[:, :, None] * tint).astype(np.float32)
    return texture
