"""MUG: turn a mug until its picture is the target's."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from invopt.plugin import real
from invopt.rendering import meshes
from invopt.rendering.bindings import Rotation
from invopt.rendering.descriptions import area_light, camera, diffuse, floor, rgb

from .scene import Scene
from .tasks.task import Task

__all__ = ["Mug", "mug_mesh"]

_UNIT = 20.0  # degrees

# Scene units; the handle's reach decides how long it stays hidden behind the body.
_RADIUS, _HEIGHT, _WALL, _REACH = 0.41, 0.92, 0.035, 0.63


@frozen(kw_only=True, eq=False, slots=False)
class Mug(Task):
    """Rotation of a glazed mug about its vertical axis, from one picture.

    One unknown, in units of 20 degrees with period 18. From the default start the handle is hidden behind the body, and
    the loss does not change at all for small turns. The loss is the mean over pixels and channels of the squared
    difference of linear RGB.

    Parameters
    ----------
    size : {"default", "tiny", "paper"}, default "default"
        64x64 pixels at 4 samples, 32x32 at 4, or 256x192 at 32 as in the paper.
    azimuth : float, default 45
        Angle between camera and handle in the target picture, in degrees.
    width, height, spp, reference_spp, reference_seed, shared_reference, depth, backend
        As of every rendered task, see `invopt.problems.tasks.task.Task`.

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

    sizes: ClassVar[dict[str, tuple[int, int, int]]] = {
        "tiny": (32, 32, 4),
        "default": (64, 64, 4),
        "paper": (256, 192, 32),
    }

    azimuth: float = field(default=45.0, validator=real())

    @cached_property
    def statement(self) -> Scene:
        """One rotation; the start is half a turn away, the handle hidden."""
        return self._state(
            scene=self.description,
            parameters=[Rotation("mug", axis=(0, 0, 1), unit=_UNIT, center=(0, 0, 0), name="rotation")],
            x0=[9.0],
            x_opt=[0.0],
            # 60 degrees, as in the paper: wide enough to see past the hidden handle.
            sigma=3.0,
        )

    def starts(self, rng: np.random.Generator, k: int) -> NDArray[np.float64]:
        """`k` starts of shape (k, 1), uniform in 150 to 200 degrees; the handle is hidden in most."""
        return rng.uniform(7.5, 10.0, (k, 1))

    def description(self) -> dict[str, Any]:
        """The scene, as Mitsuba's dictionary."""
        return _description(self)


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
        "floor": floor(diffuse(0.58, 0.53, 0.47)),
        "mug": {"type": "ply", "filename": mug_mesh(), "bsdf": glaze},
    }
