"""Random points where cameras look, and where light that they see comes from.

Import with a backend active.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import drjit
import mitsuba
import numpy as np
from numpy.typing import NDArray

from .points import Points

__all__ = ["ViewPoints"]

# Untyped, because their types depend on the variant.
dr: Any = drjit
mi: Any = mitsuba

# Share of the points that camera paths give; the others are uniform by area, so that no surface is without points.
_SHARE = 0.75
# Probability of each of so many reflections of a camera path.
_ON, _MOST_REFLECTIONS = 0.5, 3
# Camera paths by which the box is found, and their seed: the same in every process that opens the scene.
_BOX_PATHS, _BOX_SEED = 20_000, 12_345
# Quantile of the points, along each axis, up to which the box reaches, and its margin as a share of its longest side.
_KEPT, _MARGIN = 0.999, 0.02
# Smallest side of the box, of flat scenes: positions are divided by it.
_SMALLEST_SIDE = 1e-9


class ViewPoints:
    """Random points of which a share is on paths from cameras, the others by area.

    A path begins at a random place of a random camera's picture. Three times it is reflected with probability 1/2, by
    sampling the BSDF. Its end is the point, seen from where the path came. So the field is trained where and from where
    it is used: by pictures, at the first surfaces, and by right sides, at the others.

    Parameters
    ----------
    base : Points
        Points by area.
    cameras : sequence of mitsuba.Sensor
        At least one.
    follow, is_evaluated : callable
        Of the scene: ``follow(ray, sampler)`` traces rays through specular surfaces, and ``is_evaluated(point)`` says
        where the field has a value.
    """

    def __init__(
        self,
        base: Points,
        cameras: Sequence[Any],
        follow: Callable[..., tuple[Any, ...]],
        is_evaluated: Callable[[Any], Any],
    ) -> None:
        self._base = base
        self._cameras = tuple(cameras)
        self._follow = follow
        self._is_evaluated = is_evaluated
        count = len(self._cameras)
        index, self._pointers = dr.arange(mi.UInt32, count), dr.zeros(mi.SensorPtr, count)
        for number, camera in enumerate(self._cameras):
            self._pointers = dr.select(index == number, mi.SensorPtr(camera), self._pointers)
        dr.eval(self._pointers)
        self._opens = min(float(camera.shutter_open()) for camera in self._cameras)

    @property
    def arrays(self) -> tuple[Any, ...]:
        """Arrays that `draw` reads, beside those of the scene."""
        return (*self._base.arrays, *self._cameras, self._pointers)

    def draw(self, count: int, sampler: Any) -> Any:
        """Draw interactions."""
        by_area = self._base.draw(count, sampler)
        point, found = self.seen(sampler)
        # A path that leaves the scene gives a point by area.
        point = dr.select(found & (sampler.next_1d() < _SHARE), point, by_area)
        dr.eval(point)
        return point

    def ray(self, sampler: Any) -> Any:
        """Draw rays from random places of random cameras' pictures."""
        number = mi.UInt32(sampler.next_1d() * len(self._cameras))
        camera = dr.gather(mi.SensorPtr, self._pointers, dr.minimum(number, len(self._cameras) - 1))
        wavelength, place, lens = sampler.next_1d(), sampler.next_2d(), sampler.next_2d()
        ray, _ = camera.sample_ray(self._opens, wavelength, place, lens)
        return mi.Ray3f(ray)

    def seen(self, sampler: Any) -> tuple[Any, Any]:
        """Return ends of camera paths, and where there is one."""
        point = self._follow(self.ray(sampler), sampler)[0]
        found, context = self._is_evaluated(point), mi.BSDFContext()
        for _ in range(_MOST_REFLECTIONS):
            goes = found & (sampler.next_1d() < _ON)
            drawn, weight = point.bsdf().sample(context, point, sampler.next_1d(), sampler.next_2d())
            there = self._follow(point.spawn_ray(point.to_world(drawn.wo)), sampler)[0]
            goes &= self._is_evaluated(there) & (dr.max(weight) > 0)
            point = dr.select(goes, there, point)
        return point, found

    def box(
        self, sampler: Any, low: NDArray[np.float64], extent: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Lowest corner and size of the box around the points that cameras see.

        It is inside the box of the scene, `low` and `extent`. None if the cameras see no point.
        """
        sampler.seed(_BOX_SEED, _BOX_PATHS)
        point, found = self.seen(sampler)
        dr.eval(point, found)
        places = np.array(point.p).reshape(3, -1)[:, np.array(found)].astype(np.float64)
        if not places.size:
            return None
        first, last = np.quantile(places, [1 - _KEPT, _KEPT], axis=1)
        margin = _MARGIN * (last - first).max()
        first, last = np.maximum(first - margin, low), np.minimum(last + margin, low + extent)
        return first, np.maximum(last - first, _SMALLEST_SIDE)
