"""Plateau: the interval of a parameter where residuals change only by noise."""

from __future__ import annotations

import math

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy.special import fdtri

from invopt.core.pyramid import independent_values
from invopt.run.refining.discrepancy import compare, squares
from invopt.run.refining.replicates import Replicates

__all__ = ["Plateau", "plateau"]

Array = NDArray[np.float64]

# First step, in units of sigma, how often it is doubled, and how often the last interval is halved: edges up to
# 12.8 sigma away, to an eighth of the distance.
_FIRST, _DOUBLED, _HALVED = 0.1, 7, 3
# Evaluations at each point and at the answer; the multiple of the noise of one, at any level, from which a difference
# counts; and the probability that noise alone counts at one level.
_SEEDS, _HERE = 2, 6
_VISIBLE, _FALSE_ALARM = 2.0, 1e-4


@frozen(eq=False)
class Plateau:
    """Interval of one parameter.

    Attributes
    ----------
    parameter : int
        Its index.
    low, high : float
        Ends of the interval.
    middle : ndarray, shape (n,)
        The point in the middle of it.
    """

    parameter: int
    low: float
    high: float
    middle: Array

    @property
    def standard_error(self) -> float:
        """Standard deviation of a uniform distribution on the interval."""
        return (self.high - self.low) / math.sqrt(12)


class _Ray:
    """Points from `x` along a parameter, and whether residuals there differ."""

    def __init__(self, replicates: Replicates, x: Array, parameter: int) -> None:
        self._replicates, self._x, self._parameter = replicates, x, parameter
        here = replicates.at(x, _HERE)
        shapes = replicates.image_shapes
        self._here, self._noise = here.mean(0), compare(here, shapes).noise
        counts = independent_values(shapes, here.shape[1])
        scatter = 1 / _SEEDS + 1 / _HERE
        critical = fdtri(counts, counts * (_HERE - 1), 1 - _FALSE_ALARM)
        self._least = np.maximum(critical * scatter, _VISIBLE) * self._noise

    def inside(self, distance: float) -> float:
        """Nearest distance inside the bounds."""
        return float(self._replicates.inside(self.point(distance))[self._parameter] - self._x[self._parameter])

    def point(self, distance: float) -> Array:
        """Point at a distance."""
        point = self._x.copy()
        point[self._parameter] += distance
        return point

    def differs(self, distance: float) -> bool:
        """Whether residuals there differ from those at `x` by more than noise."""
        there = self._replicates.at(self.point(distance), _SEEDS).mean(0)
        changed = squares(there - self._here, self._replicates.image_shapes)
        return not np.isfinite(there).all() or bool((changed > self._least).any())


def plateau(replicates: Replicates, x: Array, parameter: int, unit: float, period: float) -> Plateau:
    """Find the interval around `x` where a parameter changes nothing beyond noise.

    All points are in units of `x_scale`. It ends at a bound, half a period away, or 12.8 units of sigma.
    """
    ray = _Ray(replicates, x, parameter)
    low, high = (_edge(ray, side * unit, side * period / 2) for side in (-1, 1))
    return Plateau(parameter, x[parameter] + low, x[parameter] + high, ray.point(0.5 * (low + high)))


def _edge(ray: _Ray, unit: float, farthest: float) -> float:
    """Distance to the edge on one side, by doubling and bisection."""
    nearest, distance = 0.0, _FIRST * unit
    for _ in range(_DOUBLED + 1):
        reached = ray.inside(math.copysign(min(abs(distance), abs(farthest)), unit))
        if reached == nearest:
            return nearest
        if ray.differs(reached):
            break
        nearest, distance = reached, 2 * distance
    else:
        return nearest
    for _ in range(_HALVED):
        middle = 0.5 * (nearest + reached)
        nearest, reached = (nearest, middle) if ray.differs(middle) else (middle, reached)
    return 0.5 * (nearest + reached)
