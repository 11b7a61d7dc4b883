"""Chi-squared test of whether errors are as large as their error bars say."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

# Probability that one call rejects correct error bars.
ALPHA = 1e-3
# Error bars that are wrong by these factors must be rejected.
PLANTED = 1.5
_DRAWS = 20_000

Array = NDArray[np.float64]
# Squared error bars divided by the variances that they estimate; shape (draws, runs, parameters).
Bars = Callable[[np.random.Generator, tuple[int, ...]], Array]


def assert_bars(
    scores: ArrayLike,
    *,
    dof: float = math.inf,
    bars: Bars | None = None,
    planted: tuple[float, ...] = (PLANTED, 1 / PLANTED),
) -> None:
    """Assert that errors divided by their error bars have the expected spread.

    Parameters
    ----------
    scores : array_like
        Errors over error bars, independent; of shape (runs, n) where `bars` is given.
    dof : float
        Degrees of freedom of the bars. The statistic is the efficient score of a scale of Student's t, which for
        infinitely many is the sum of the squares of the scores.
    bars : callable, optional
        How the bars are estimated where that is not by `dof` alone; the distribution is then simulated.
    planted : tuple of float
        Bars of these multiples of their length must be rejected.
    """
    given = np.asarray(scores, dtype=np.float64)
    low, high = _range(given.shape, dof, bars)
    value = _statistic(given, dof)
    assert low < value < high, f"{value:.3g} is not in ({low:.3g}, {high:.3g})"
    for factor in planted:
        wrong = _statistic(given / factor, dof)
        assert not low < wrong < high, f"bars of {factor:.3g} times their length pass: more runs are needed"


def decorrelated(scores: ArrayLike, jacobian: ArrayLike) -> Array:
    """Scores of shape (runs, n) of the minimiser of linear residuals with equal noise, made independent."""
    whole = np.asarray(jacobian, dtype=np.float64)
    covariance = np.linalg.inv(whole.T @ whole)
    sizes = np.sqrt(np.diag(covariance))
    factor = np.linalg.cholesky(covariance / np.outer(sizes, sizes))
    return np.linalg.solve(factor, np.asarray(scores, dtype=np.float64).T).T


def _statistic(scores: Array, dof: float) -> float:
    """Mean over the scores; its expectation is 1."""
    squares = np.square(scores)
    return float(np.mean(squares if math.isinf(dof) else (dof + 1) * squares / (dof + squares)))


def _range(shape: tuple[int, ...], dof: float, bars: Bars | None) -> tuple[float, float]:
    """Interval that holds the statistic with probability ``1 - ALPHA``."""
    count = math.prod(shape)
    if bars is not None:
        rng = np.random.default_rng(0)
        draws = (_DRAWS, *shape)
        squares = np.square(rng.standard_normal(draws)) / bars(rng, draws)
        found = squares if math.isinf(dof) else (dof + 1) * squares / (dof + squares)
        low, high = np.quantile(found.reshape(_DRAWS, -1).mean(1), [ALPHA / 2, 1 - ALPHA / 2])
    elif math.isinf(dof):
        low, high = stats.chi2.ppf([ALPHA / 2, 1 - ALPHA / 2], count) / count
    else:
        # Each term lies in (0, dof + 1), with variance 2 dof / (dof + 3): its mean is soon normal.
        reach = stats.norm.isf(ALPHA / 2) * math.sqrt(2 * dof / (dof + 3) / count)
        low, high = 1 - reach, 1 + reach
    return float(low), float(high)
