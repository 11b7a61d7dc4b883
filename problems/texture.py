"""TEXTURE: 1024 texels from one picture."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from invopt.rendering.bindings import Texels
from invopt.rendering.descriptions import area_light, camera

from .scene import Scene
from .tasks.task import Task

__all__ = ["Texture"]

_EDGE = 32
_SPREAD = 0.1


@frozen(kw_only=True, eq=False, slots=False)
class Texture(Task):
    """All 1024 texels of a grey texture of 32x32, from one picture of it.

    The texture fills the view, so every texel shows in a few pixels. The start is an even grey.

    Parameters
    ----------
    size : {"default", "tiny", "paper"}, default "default"
        64x64 pixels at 4 samples, 32x32 at 4, or 256x256 at 32.
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
        "paper": (256, 256, 32),
    }

    # A thousand texels, each of which shows in a few pixels.
    sparse: ClassVar[bool] = True

    @cached_property
    def statement(self) -> Scene:
        """The texels, each between 0 and 1."""
        return self._state(
            scene=self._description,
            parameters=[
                Texels("picture.bsdf.reflectance", shape=(_EDGE, _EDGE, 1), scale=1.0, bounds=(0.0, 1.0), name="texel")
            ],
            x0=np.full(_EDGE**2, 0.5),
            x_opt=_answer().astype(np.float64).ravel(),
            # A tenth of the range of the texels: the loss is a parabola, so any width will do.
            sigma=0.05,
        )

    def starts(self, rng: np.random.Generator, k: int) -> NDArray[np.float64]:
        """`k` starts of shape (k, 1024), grey with noise of up to 0.1."""
        return 0.5 + rng.uniform(-_SPREAD, _SPREAD, (k, _EDGE**2))

    def _description(self) -> dict[str, Any]:
        """Scene: the picture straight ahead, a light beside the camera, a soft surround."""
        width, height = self.resolution
        grey = np.full((_EDGE, _EDGE, 1), 0.5, dtype=np.float32)
        # Texels are 32-bit floats: as 8 or 16 bits they would not hold what is set.
        texture = {"type": "bitmap", "raw": True, "format": "variant", "wrap_mode": "clamp", "bitmap": grey}
        fov = float(2 * np.degrees(np.arctan(1 / 3)))
        return {
            "type": "scene",
            "integrator": {"type": "path", "max_depth": self.depth},
            "sensor": camera(origin=[0, 0, 3], target=[0, 0, 0], fov=fov, width=width, height=height, up=(0, 1, 0)),
            "picture": {"type": "rectangle", "bsdf": {"type": "diffuse", "reflectance": texture}},
            "light": area_light(origin=[1.0, -1.5, 3.5], target=[0, 0, 0], half_width=0.4, radiance=16.0),
            # Rays that bounce find an even surround; sampling it too would only take samples from the light.
            "surround": {"type": "constant", "radiance": 0.3, "sampling_weight": 0.01},
        }


def _answer() -> NDArray[np.float32]:
    """Waves, a checkerboard and a disc: smooth parts, edges and a shape."""
    y, x = np.mgrid[0:_EDGE, 0:_EDGE] / _EDGE
    texels = 0.5 + 0.22 * np.sin(6 * np.pi * x) * np.cos(4 * np.pi * y)
    texels += 0.2 * (((4 * x).astype(int) + (4 * y).astype(int)) % 2 - 0.5)
    texels[(x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.06] += 0.15
    clipped: NDArray[np.float32] = np.clip(texels, 0.05, 0.95).astype(np.float32)
    return clipped
