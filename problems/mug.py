"""MUG: find the rotation of a mug."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from invopt.plugin import real
from invopt.rendering import meshes
from invopt.rendering.bindings import Rotation
from invopt.rendering.descriptions import area_light, camera, diffuse, floor, rgb

from .scene import Scene
from .tasks.task import Task

__all__ = ["MUG_UNIT", "Mug", "mug_mesh", "mug_rotation"]

# Degrees of one unit of rotation (the authors' setting).
MUG_UNIT = 20.0
# Interval of the random starts in these units: 150 to 200 degrees, where most pictures do not show the handle.
_MUG_STARTS = (7.5, 10.0)

# Dimensions in scene units. The distance of the handle from the axis determines at which angles the body hides it.
_RADIUS, _HEIGHT, _WALL, _HANDLE = 0.41, 0.92, 0.035, 0.63


@frozen(kw_only=True, eq=False, slots=False)
class Mug(Task):
    """Rotation of a glazed mug about its vertical axis, from one picture.

    The paper's MUG. The one unknown is in units of 20 degrees, with period 18. At the default start the body hides the
    handle, and small rotations do not change the loss: a plateau. The loss is the mean squared difference of linear RGB
    over pixels and channels.

    Parameters
    ----------
    size : {"default", "tiny", "paper"}, default "default"
        64x64 pixels at 4 samples, 32x32 at 4, or 256x192 at 32 as in the paper.
    azimuth : float, default 45
        Angle between camera and handle in the target picture, in degrees.
    width, height, spp, reference_spp, reference_seed, shared_reference, depth, backend
        See `invopt.problems.tasks.task.Task`.

    Notes
    -----
    The squared error counts a misplaced handle twice, where it is and where it should be, but a hidden one only once.
    From many views the minimum of the smoothed loss is therefore where the handle is hidden. From 45 degrees the
    smoothed loss has a single minimum at sigma = 3, 2 and 1, which approaches the answer as sigma decreases: it is
    2.3, 1.4 and 0.4 units away. If you change `azimuth`, plot the smoothed loss first.
    """

    azimuth: float = field(default=45.0, validator=real())

    @cached_property
    def statement(self) -> Scene:
        """The task as a `Scene`; the start is half a turn from the answer."""
        return self._scene(
            scene=self.description,
            parameters=[mug_rotation()],
            x0=[9.0],
            x_opt=[0.0],
            # 60 degrees, the authors' setting: samples beyond the plateau show the handle.
            sigma=3.0,
        )

    def starts(self, rng: np.random.Generator, k: int) -> NDArray[np.float64]:
        """`k` starts of shape (k, 1), uniform in 150 to 200 degrees."""
        return rng.uniform(*_MUG_STARTS, (k, 1))

    def description(self) -> dict[str, Any]:
        """The scene as a dictionary for Mitsuba."""
        return _description(self)


def mug_rotation() -> Rotation:
    """Rotation of the mug about its vertical axis."""
    return Rotation("mug", axis=(0, 0, 1), unit=MUG_UNIT, center=(0, 0, 0), name="rotation")


def mug_mesh(segments: int = 48) -> meshes.Mesh:
    """Mesh of a mug 0.92 high that stands at the origin with its handle towards +x."""
    body = meshes.revolve(_profile(), segments)
    return meshes.join(body, meshes.sweep(_handle_path(), (0.048, 0.06), 14))


def _profile() -> NDArray[np.float64]:
    """Radii and heights of the outline: outer wall, lip, inner wall, floor."""
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
    """Equidistant points on half a superellipse that ends in the body's wall."""
    t = np.linspace(-np.pi / 2, np.pi / 2, 400)
    start = _RADIUS - 0.02
    x = start + (_HANDLE - start) * np.cos(t).clip(0) ** (2 / 2.6)
    z = 0.48 + 0.26 * np.sign(t) * np.abs(np.sin(t)) ** (2 / 2.6)
    length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(z)))])
    even = np.linspace(0.0, length[-1], n)
    return np.stack([np.interp(even, length, x), np.interp(even, length, z)], axis=1)


def _description(problem: Mug) -> dict[str, Any]:
    """A glazed mug on a floor, a large light above, a weak one behind, a surround."""
    width, height = problem.resolution
    # A smaller roughness, and so a sharper highlight, would double the noise of the loss.
    glaze = {"type": "roughplastic", "alpha": 0.2, "diffuse_reflectance": rgb(0.03, 0.13, 0.19)}
    middle = [0.0, 0.0, 0.44]

    def around(azimuth: float, radius: float, z: float) -> list[float]:
        angle = np.radians(azimuth - problem.azimuth)
        return [float(radius * np.cos(angle)), float(radius * np.sin(angle)), z]

    return {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": problem.depth},
        "sensor": camera(origin=around(0, 2.1, 0.95), target=middle, fov=41, width=width, height=height),
        # Sampling weights follow the light that arrives; equal weights give four times the noise of the loss.
        "surround": {"type": "constant", "radiance": rgb(0.50, 0.50, 0.52), "sampling_weight": 0.5},
        "key": area_light(origin=around(52, 1.3, 2.7), target=middle, half_width=0.8, radiance=7.0, weight=4.0),
        "fill": area_light(origin=around(-113, 2.0, 2.1), target=middle, half_width=0.9, radiance=1.1, weight=0.5),
        "floor": floor(diffuse(0.58, 0.53, 0.47)),
        "mug": {"type": "ply", "filename": mug_mesh(), "bsdf": glaze},
    }
