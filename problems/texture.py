"""TEXTURE: find 1024 texels, grey or of three channels."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from invopt.plugin import Capability, integer, require
from invopt.rendering.bindings import Texels
from invopt.rendering.descriptions import area_light, camera

from .scene import Scene
from .tasks.task import Task

__all__ = ["Texture"]

# Texels on a side (paper).
_TEXELS = 32
# Grey of the default start, and largest distance of a random start from it.
_GREY, _TEXEL_SPREAD = 0.5, 0.1


@frozen(kw_only=True, eq=False, slots=False)
class Texture(Task):
    """All 1024 texels of a texture of 32x32 texels, from one picture.

    The paper's TEXTURE is grey. The texture fills the picture, so that each texel shows in a few pixels. The default
    start is a uniform grey.

    Parameters
    ----------
    channels : {1, 3}, default 1
        Numbers per texel.
    size : {"default", "tiny", "paper"}, default "default"
        64x64 pixels at 4 samples, 32x32 at 4, or 256x256 at 32.
    width, height, spp, reference_spp, reference_seed, shared_reference, depth, backend
        See `invopt.problems.tasks.task.Task`.
    """

    sizes: ClassVar[dict[str, tuple[int, int, int]]] = Task.sizes | {"paper": (256, 256, 32)}
    # Each residual depends on few of the texels.
    sparse: ClassVar[bool] = True

    channels: int = field(default=1, validator=integer(1))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        require("channels", self.channels in (1, 3), "1 or 3", self.channels)

    @cached_property
    def statement(self) -> Scene:
        """The task as a `Scene`; each texel is between 0 and 1."""
        return self._scene(
            scene=self._description,
            parameters=[
                Texels("picture.bsdf.reflectance", shape=self._shape, scale=1.0, bounds=(0.0, 1.0), name="texel")
            ],
            x0=np.full(self._shape, _GREY).ravel(),
            x_opt=_answer(self.channels).astype(np.float64).ravel(),
            # The loss is quadratic in the texels: smoothing does not bias its derivative, whatever sigma is.
            sigma=0.05,
        )

    @property
    def provides(self) -> Capability:  # type: ignore[override]
        """What the statement provides, the Jacobian by the texels among it."""
        return self.statement.provides

    @property
    def shades(self) -> NDArray[np.bool_]:
        """Every column is a texel."""
        return np.full(self.n, Capability.SHADING in self.provides)

    def starts(self, rng: np.random.Generator, k: int) -> NDArray[np.float64]:
        """`k` starts of shape (k, n), grey with uniform noise of up to 0.1."""
        return _GREY + rng.uniform(-_TEXEL_SPREAD, _TEXEL_SPREAD, (k, _TEXELS**2 * self.channels))

    @property
    def _shape(self) -> tuple[int, int, int]:
        return _TEXELS, _TEXELS, self.channels

    def _description(self) -> dict[str, Any]:
        """The texture in front of the camera, a light beside the camera, a surround."""
        width, height = self.resolution
        grey = np.full(self._shape, _GREY, dtype=np.float32)
        # 32-bit floats, because texels of 8 or 16 bits would be rounded.
        texture = {"type": "bitmap", "raw": True, "format": "variant", "wrap_mode": "clamp", "bitmap": grey}
        fov = float(2 * np.degrees(np.arctan(1 / 3)))
        return {
            "type": "scene",
            "integrator": {"type": "path", "max_depth": self.depth},
            "sensor": camera(origin=[0, 0, 3], target=[0, 0, 0], fov=fov, width=width, height=height, up=(0, 1, 0)),
            "picture": {"type": "rectangle", "bsdf": {"type": "diffuse", "reflectance": texture}},
            "light": area_light(origin=[1.0, -1.5, 3.5], target=[0, 0, 0], half_width=0.4, radiance=16.0),
            # Most scattered rays meet the surround, so that its emitter samples would be wasted.
            "surround": {"type": "constant", "radiance": 0.3, "sampling_weight": 0.01},
        }


def _answer(channels: int) -> NDArray[np.float32]:
    """Waves, a checkerboard and a disc, which are smooth parts, edges and a shape.

    Waves of three channels are a third of a wavelength apart.
    """
    y, x = (grid[..., None] for grid in np.mgrid[0:_TEXELS, 0:_TEXELS] / _TEXELS)
    phase = 2 * np.pi * np.arange(channels) / 3
    texels = 0.5 + 0.22 * np.sin(6 * np.pi * x + phase) * np.cos(4 * np.pi * y)
    texels += 0.2 * (((4 * x).astype(int) + (4 * y).astype(int)) % 2 - 0.5)
    texels += 0.15 * ((x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.06)
    clipped: NDArray[np.float32] = np.clip(texels, 0.05, 0.95).astype(np.float32)
    return clipped
