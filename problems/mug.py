"""MUG: turn a mug until its picture is the target's."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from attrs import field, frozen, validators
from numpy.typing import NDArray
from torch import Tensor

from invopt._problem import Capability, Objective, Problem
from invopt._seeds import FIRST_REFERENCE_SEED
from invopt._validators import integer, real, require
from invopt.rendering import meshes
from invopt.rendering.backend import Backend, activate
from invopt.rendering.scene import LiveScene, area_light, camera, rgb, rotation_z

__all__ = ["Mug", "MugObjective", "mug_mesh"]

# Width, height, samples per pixel.
_SIZES = {"tiny": (32, 32, 4), "default": (64, 64, 4), "paper": (256, 192, 32)}
_UNIT = 20.0  # degrees
_PERIOD = 360.0 / _UNIT

# Scene units; the handle's reach decides how long it stays hidden behind the body.
_RADIUS, _HEIGHT, _WALL, _REACH = 0.41, 0.92, 0.035, 0.63


@frozen(kw_only=True, eq=False)
class Mug(Problem):
    """Rotation of a glazed mug about its vertical axis, from one picture.

    One unknown, in units of 20 degrees with period 18. From the default start the handle is hidden behind the body, and
    the loss does not change at all for small turns. The loss is the mean over pixels and channels of the squared
    difference of linear RGB.

    Parameters
    ----------
    size : {"default", "tiny", "paper"}
        64x64 pixels at 4 samples, 32x32 at 4, or 256x192 at 32 as in the paper.
    width, height : int, optional
        Pixels, instead of those of `size`.
    spp : int, optional
        Samples per pixel, instead of those of `size`.
    reference_spp : int, default 256
        Samples per pixel of the target picture, at least 256.
    reference_seed : int
        Seed of the target picture, in [2**31, 2**32), where no render's seed lies.
    shared_reference : bool, default False
        Render the target with seed 0 and `spp` samples as the paper's code does. With the fixed seed policy its noise
        then cancels exactly at the answer, which no real photograph offers.
    depth : int, default 6
        Longest light path.
    azimuth : float, default 45
        Angle between camera and handle in the target picture, in degrees.
    backend : {"cuda", "llvm", "scalar"}, optional
        What to render with; by default the best usable.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or range.

    Notes
    -----
    Squared error counts a misplaced handle twice, where it is and where it should be, but a hidden one only once. From
    many views the smoothed loss therefore has its minimum where the handle hides. From 45 degrees, with these lights,
    it has a single minimum at sigma = 3, 2 and 1 that moves home as sigma shrinks: 2.3, 1.4, 0.4 units away. After
    changing `azimuth`, plot the smoothed loss first.
    """

    provides: ClassVar[Capability] = Capability.FUN | Capability.RESIDUALS
    renders: ClassVar[bool] = True

    size: str = field(default="default")
    width: int | None = field(default=None, validator=validators.optional(integer(8, 2**14)))
    height: int | None = field(default=None, validator=validators.optional(integer(8, 2**14)))
    spp: int | None = field(default=None, validator=validators.optional(integer(1)))
    reference_spp: int = field(default=256, validator=integer(256))
    reference_seed: int = field(default=FIRST_REFERENCE_SEED, validator=integer(FIRST_REFERENCE_SEED))
    shared_reference: bool = field(default=False, validator=validators.instance_of(bool))
    depth: int = field(default=6, validator=integer(1, 2**20))
    azimuth: float = field(default=45.0, validator=real())
    backend: str | None = field(default=None)

    def __attrs_post_init__(self) -> None:
        require("size", isinstance(self.size, str) and self.size in _SIZES, f"one of {', '.join(_SIZES)}", self.size)
        require("reference_seed", self.reference_seed < 2**32, "< 2**32", self.reference_seed)
        names = [backend.value for backend in Backend]
        require(
            "backend", self.backend is None or str(self.backend) in names, f"one of {', '.join(names)}", self.backend
        )

    @property
    def x0(self) -> NDArray[np.float64]:
        """Half a turn away, the handle hidden."""
        return np.array([9.0])

    @property
    def x_opt(self) -> NDArray[np.float64]:
        """The rotation of the target picture."""
        return np.zeros(1)

    @property
    def periods(self) -> NDArray[np.float64]:
        """A full turn."""
        return np.array([_PERIOD])

    @property
    def names(self) -> tuple[str, ...]:
        """Readable name of the parameter."""
        return ("rotation",)

    @property
    def sigma(self) -> float:
        """Three units, 60 degrees, as in the paper: wide enough to see past the hidden handle."""
        return 3.0

    @property
    def resolution(self) -> tuple[int, int]:
        """Width and height of the pictures."""
        width, height, _ = _SIZES[self.size]
        return self.width or width, self.height or height

    @property
    def samples(self) -> int:
        """Samples per pixel of a render."""
        return self.spp or _SIZES[self.size][2]

    def readable(self, x: NDArray[np.float64]) -> dict[str, str]:
        """The rotation in degrees."""
        return {"rotation": f"{_UNIT * float(x[0]):.2f}°"}

    def starts(self, rng: np.random.Generator, k: int) -> NDArray[np.float64]:
        """`k` starts of shape (k, 1), uniform in 150 to 200 degrees; the handle is hidden in most."""
        return rng.uniform(7.5, 10.0, (k, 1))

    def open(self) -> MugObjective:
        """Load the scene and render the target picture."""
        activate(self.backend)
        return MugObjective(self)


class MugObjective(Objective):
    """The live mug; see `Mug`.

    Parameters
    ----------
    problem : Mug
        What to load; a backend must be active.
    """

    chunk_size = 1

    def __init__(self, problem: Mug) -> None:
        self._samples = problem.samples
        self._scene = LiveScene(_description(problem))
        shared = problem.shared_reference
        self.reference: NDArray[np.float32] = self.image(
            0.0,
            seed=0 if shared else problem.reference_seed,
            spp=problem.samples if shared else problem.reference_spp,
        )
        self._scene.set_reference(self.reference)

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Mean squared differences to the target, shape (k,)."""
        values = []
        for row, s in zip(x[:, 0].tolist(), seed, strict=True):
            posed = self._pose(row)
            values.append(self._scene.loss(seed=int(s), spp=spp or self._samples) if posed else float("nan"))
        return torch.tensor(values, dtype=torch.float64)

    def residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Differences to the target, shape (k, height * width * 3)."""
        rows = []
        for row, s in zip(x[:, 0].tolist(), seed, strict=True):
            posed = self._pose(row)
            values = self._scene.residuals(seed=int(s), spp=spp or self._samples) if posed else self._nothing()
            rows.append(torch.from_numpy(values))
        return torch.stack(rows)

    def image(self, x: Any, *, seed: int = 0, spp: int | None = None) -> NDArray[np.float32]:
        """Linear RGB picture at rotation `x`, a number or one in an array, of shape (height, width, 3)."""
        if not self._pose(float(np.asarray(x, dtype=np.float64).reshape(()))):
            raise ValueError(f"'x' must be finite: {x!r}")
        return self._scene.image(seed=seed, spp=spp or self._samples)

    def close(self) -> None:
        """Drop the scene."""
        self._scene.close()

    def _pose(self, x: float) -> bool:
        """Turn the mug; False if `x` is no angle, for such a matrix would hang the ray tracer."""
        if not np.isfinite(x):
            return False
        # One turn more is the same rotation to the last bit.
        self._scene.pose("mug", rotation_z(x % _PERIOD * _UNIT))
        return True

    def _nothing(self) -> NDArray[np.float64]:
        return np.full(self.reference.size, np.nan)


def mug_mesh(segments: int = 48) -> meshes.Mesh:
    """Mug of unit height or so, standing at the origin, its handle towards +x."""
    body = meshes.revolve(_profile(), segments)
    return meshes.join(body, meshes.sweep(_handle_path(), (0.048, 0.06), 14))


def _profile() -> NDArray[np.float64]:
    """Outer wall, rounded lip, inner wall, floor; radius and height, from the axis below to the axis above."""
    foot, bowl, lip, floor = 0.06, 0.10, _WALL / 2, 0.045
    inner = _RADIUS - _WALL
    top = _HEIGHT - lip
    return np.concatenate(
        [
            [[0.0, 0.0], [0.2, 0.0]],
            _arc(_RADIUS - foot, foot, foot, -90, 0, 5),
            np.stack([np.full(7, _RADIUS), np.linspace(foot, top, 9)[1:-1]], axis=1),
            _arc(_RADIUS - lip, top, lip, 0, 180, 7),
            np.stack([np.full(5, inner), np.linspace(top, floor + bowl, 7)[1:-1]], axis=1),
            _arc(inner - bowl, floor + bowl, bowl, 0, -90, 5),
            [[0.15, floor], [0.0, floor]],
        ]
    )


def _arc(x: float, z: float, radius: float, start: float, stop: float, n: int) -> NDArray[np.float64]:
    angle = np.radians(np.linspace(start, stop, n))
    return np.stack([x + radius * np.cos(angle), z + radius * np.sin(angle)], axis=1)


def _handle_path(n: int = 28) -> NDArray[np.float64]:
    """Half a superellipse whose ends lie inside the body's wall, in even steps."""
    t = np.linspace(-np.pi / 2, np.pi / 2, 400)
    start = _RADIUS - 0.02
    x = start + (_REACH - start) * np.cos(t).clip(0) ** (2 / 2.6)
    z = 0.48 + 0.26 * np.sign(t) * np.abs(np.sin(t)) ** (2 / 2.6)
    length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(z)))])
    even = np.linspace(0.0, length[-1], n)
    return np.stack([np.interp(even, length, x), np.interp(even, length, z)], axis=1)


def _description(problem: Mug) -> dict[str, Any]:
    """Scene: the glazed mug on a pale floor, a large light overhead and a weak one behind, a soft surround."""
    width, height = problem.resolution
    # A sharper highlight would double the noise of the loss.
    glaze = {"type": "roughplastic", "alpha": 0.2, "diffuse_reflectance": rgb(0.03, 0.13, 0.19)}
    middle = [0.0, 0.0, 0.44]

    def around(azimuth: float, radius: float, z: float) -> list[float]:
        angle = np.radians(azimuth - problem.azimuth)
        return [float(radius * np.cos(angle)), float(radius * np.sin(angle)), z]

    return {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": problem.depth},
        "sensor": camera(origin=around(0, 2.1, 0.95), target=middle, fov=41, width=width, height=height),
        # Light is sampled where it comes from: weights of 1 each quadruple the noise of the loss.
        "surround": {"type": "constant", "radiance": rgb(0.50, 0.50, 0.52), "sampling_weight": 0.5},
        "key": area_light(origin=around(52, 1.3, 2.7), target=middle, half_width=0.8, radiance=7.0, weight=4.0),
        "fill": area_light(origin=around(-113, 2.0, 2.1), target=middle, half_width=0.9, radiance=1.1, weight=0.5),
        "floor": _floor(),
        "group": {"type": "shapegroup", "shape": mug_mesh().to_mitsuba(glaze)},
        "mug": {"type": "instance", "group": {"type": "ref", "id": "group"}},
    }


def _floor() -> dict[str, Any]:
    import mitsuba as mi

    return {
        "type": "rectangle",
        "to_world": mi.ScalarTransform4f().scale(20.0),
        "bsdf": {"type": "diffuse", "reflectance": rgb(0.58, 0.53, 0.47)},
    }
