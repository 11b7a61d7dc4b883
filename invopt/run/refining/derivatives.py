"""Derivatives of projected residuals, measured under several seeds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtri

from invopt.core.model import Instrument
from invopt.core.pyramid import Shapes, projection, pyramid

__all__ = ["MOST_ROUNDS", "Measured", "by_other_slopes", "by_own_slopes", "flat_side", "is_determined"]

Array = NDArray[np.float64]
Project = Callable[[Array], Array]

# Most rounds of differences, under two more seeds each.
MOST_ROUNDS = 4
# Ratio of the noise of a derivative to itself above which more differences are taken, and the largest at which it
# counts: it is the relative error of the correction.
_WANTED_NOISE, _LARGEST_NOISE = 0.2, 0.5
# Probability that residuals which do not depend on some parameter count as if they did, in any of the rounds.
_FALSE_ALARM = 1e-3 / MOST_ROUNDS
# Slope on one side of the answer, as a share of the mean of both, below which there is a plateau on that side; and by
# how many standard errors it has to be below. On a smooth minimum it is 1, on the edge of a plateau 0 or 2.
_FLAT, _ERRORS = 0.5, 2.0
# Largest condition number, of parameters in units of their own slopes, at which they count as determined.
_LARGEST_CONDITION = 1e8


class Measured(NamedTuple):
    """A projection with its measured derivative.

    Attributes
    ----------
    instrument : Instrument
        The projection and its derivative.
    noise : float
        Ratio of the derivative's standard error to itself; infinite if it is singular.
    significant : bool
        Whether noise alone would not give such a derivative.
    weakest : int
        The parameter whose derivative is smallest, in units of its standard error.
    """

    instrument: Instrument
    noise: float
    significant: bool
    weakest: int

    @property
    def is_precise(self) -> bool:
        """Whether no more differences are needed."""
        return self.significant and self.noise < _WANTED_NOISE

    @property
    def counts(self) -> bool:
        """Whether it may correct an answer; a success must be significant too."""
        return self.noise < _LARGEST_NOISE


def by_other_slopes(slopes: Array, project: Project) -> Measured:
    """Measure a projection's derivative by slopes that it does not depend on.

    Their shape is (k, n, m), with k >= 2 seeds.
    """
    products = np.array([project(each).T for each in slopes])
    return _judged(project, products.mean(0), products, 1.0)


def by_own_slopes(slopes: Array, weights: Array, shapes: Shapes) -> Measured:
    """Project onto the mean of slopes of shape (k, n, m), k >= 2 seeds.

    Levels have weights of shape (L,). Products of slopes under different seeds, whose noise is independent, are the
    derivative.
    """

    def onto(own: Array) -> Project:
        levels = zip(*(pyramid(slope, shapes) for slope in own), strict=True)
        return projection([w * np.array(each) for w, each in zip(weights, levels, strict=True)], shapes)

    k, project = len(slopes), onto(slopes.mean(0))
    products = np.array([project(each).T for each in slopes])
    alike = np.mean([onto(each)(each).T for each in slopes], 0)
    different = (k * products.mean(0) - alike) / (k - 1)
    # Where slopes are noise only, the mean product of different ones has this many times the variance of their
    # products with the mean.
    return _judged(project, 0.5 * (different + different.T), products, 2 * k / (k - 1))


def _judged(project: Project, hess: Array, products: Array, inflation: float) -> Measured:
    """Judge a derivative by the scatter of its measurements, shape (k, n, n).

    Where residuals do not change along some direction v, the derivative times v and its deviations times v are noise of
    n and n (k - 1) degrees of freedom, whose ratio of mean squares has an F distribution. The ratio of norms is at
    least as large along every direction, so that the test is conservative.
    """
    instrument = Instrument(project, hess)
    k, n = products.shape[:2]
    errors = (products - products.mean(0)) / math.sqrt(k * (k - 1))
    with np.errstate(all="ignore"):
        weakest = int(np.argmin(np.linalg.norm(hess, axis=0) / np.linalg.norm(errors, axis=(0, 1))))
    if not (np.isfinite(products).all() and is_determined(hess)):
        return Measured(instrument, math.inf, significant=False, weakest=weakest)
    noise = float(np.linalg.norm(np.linalg.solve(hess.T, np.concatenate(errors).T), 2))
    critical = inflation * float(fdtri(n, n * (k - 1), 1 - _FALSE_ALARM))
    return Measured(instrument, noise, significant=noise * noise * critical < 1, weakest=weakest)


def flat_side(sides: Array, instrument: Instrument) -> int | None:
    """Parameter that changes nothing on one side; None if there is none.

    `sides` are slopes under k seeds by each parameter, forward and backward, of shape (k, 2, n, m).
    """
    k, n = sides.shape[0], sides.shape[2]
    shares = np.empty((k, 2, n))
    for index in np.ndindex(k, 2):
        shares[index] = np.linalg.solve(instrument.hess, instrument.project(sides[index]).T).diagonal()
    below = _FLAT - shares.mean(0) - _ERRORS * shares.std(0, ddof=1) / math.sqrt(k)
    parameter = int(np.argmax(below.max(0)))
    return parameter if below[:, parameter].max() > 0 else None


def is_determined(hess: Array) -> bool:
    """Whether a projection's derivative is finite and well conditioned.

    The units of the parameters do not matter.
    """
    if not np.isfinite(hess).all():
        return False
    scales = np.sqrt(np.outer(np.linalg.norm(hess, axis=1), np.linalg.norm(hess, axis=0)))
    return bool((scales > 0).all() and np.linalg.cond(hess / scales) < _LARGEST_CONDITION)
