"""Probe: noise, resolution and flatness of a function from a few values."""

from __future__ import annotations

import math

import numpy as np

from .space import EPS, WORST, Array, Search, SearchSpace

__all__ = ["FLAT", "measure_noise"]

# Noise of a function that does not change.
FLAT = math.inf
# Lengths of three probes, in units of the first step: the first is a forward difference, the others find where a
# function of low resolution changes.
_LENGTHS = (None, 1e-5, 1e-3)
# Differences of the second and third order of unit noise have these standard deviations: Hamming's table, which Moré
# and Wild use in "Estimating computational noise", SIAM J. Sci. Comput. 33(3), 2011, eq. (2.2).
_SECOND, _THIRD = math.sqrt(6), math.sqrt(20)
# Noise up to this multiple of machine precision is rounding.
_MOST_ROUNDING = 30.0


def measure_noise(space: SearchSpace, x: Array, fun: float, step: float, difference: float) -> Search:
    """Measure the noise at a point from three more points in a row.

    It is 0 if the function is smooth, `FLAT` if it is constant.

    Parameters
    ----------
    space : SearchSpace
        Bounds and random numbers.
    x : ndarray, shape (n,)
        The point.
    fun : float
        The value there.
    step : float
        Length of the first step.
    difference : float
        Length of a forward difference along the first axis, which the first point is.
    """
    direction = np.zeros(space.n)
    direction[0] = 1.0 if x[0] + 3 * difference <= space.high[0] else -1.0
    for length in _LENGTHS:
        h = difference if length is None else length * step
        rows = space.clip(x + h * np.arange(1, 4)[:, None] * direction)
        values = np.concatenate([[fun], (yield rows)])
        if float(values.max()) >= WORST:
            # A wall: failures say nothing about noise.
            return 0.0
        if np.ptp(values) > 0:
            noise = max(
                float(np.abs(np.diff(values, 2)).min()) / _SECOND, float(np.abs(np.diff(values, 3))[0]) / _THIRD
            )
            if length is not None:
                # It was constant over a shorter distance: the least change is its resolution.
                changes = np.abs(np.diff(values))
                noise = max(noise, float(changes[changes > 0].min()))
            return noise if noise > _MOST_ROUNDING * EPS * float(np.abs(values).max()) else 0.0
        direction = space.rng.standard_normal(space.n)
        direction /= np.linalg.norm(direction)
    return FLAT
