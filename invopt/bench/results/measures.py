"""Measures: cost at which a run reaches an error, and statistics of many runs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from invopt.core.result import OptimizeResult

__all__ = ["FRACTIONS", "cost_to", "data_profile", "evaluations_to", "median", "quantile", "ratio", "reached_at"]

# Fractions of the error at the start, as in the paper's Table 2: reductions by 90, 99 and 99.9 %.
FRACTIONS = (0.1, 0.01, 0.001)


def reached_at(errors: ArrayLike, fraction: float) -> int | None:
    """Index from which on the error stays at or below a fraction of its first value.

    Parameters
    ----------
    errors : array_like, shape (k,)
        Error along a run; nan counts as above.
    fraction : float
        Fraction of the error at the start, in (0, 1): 0.01 for a reduction by 99 %.

    Returns
    -------
    int or None
        None if the run did not reach the fraction, or did not stay below it.
    """
    values = np.asarray(errors, dtype=np.float64)
    if values.size == 0:
        return None
    above = np.flatnonzero(~(values <= fraction * values[0]))
    first = 0 if above.size == 0 else int(above[-1]) + 1
    return first if first < values.size else None


def cost_to(cost: ArrayLike, errors: ArrayLike, fraction: float) -> float:
    """Cost until the error of a run stays at or below a fraction of its start.

    Inf if it does not.

    Parameters
    ----------
    cost : array_like, shape (k,)
        Cumulative cost along the run: evaluations or seconds.
    errors : array_like, shape (k,)
        Error along the run.
    fraction : float
        As in `reached_at`.
    """
    index = reached_at(errors, fraction)
    return math.inf if index is None else float(np.asarray(cost)[index])


def evaluations_to(result: OptimizeResult, fraction: float) -> float:
    """Evaluations until the parameter error stays at or below a fraction.

    It is inf if the error does not stay there.

    Parameters
    ----------
    result : OptimizeResult
        A run of a problem whose answer is known.
    fraction : float
        As in `reached_at`.

    Returns
    -------
    float
        Cumulative evaluations, including those of the estimate at the point that reaches the fraction.
    """
    errors = [result.problem.parameter_error(x) for x in result.history["x"]]
    return cost_to(result.history["nfev"], errors, fraction)


def quantile(values: ArrayLike, q: float) -> float:
    """Quantile without interpolation, numpy's method "higher".

    Failures are inf and are not dropped.

    Interpolation would average a number with infinity. Of an even number of values the median is the upper one of the
    middle two, so that it is finite only if more than half of the runs succeeded.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    if ordered.size == 0 or np.isnan(ordered).any():
        return math.nan
    return float(ordered[math.ceil(q * (ordered.size - 1))])


def median(values: ArrayLike) -> float:
    """`quantile` of one half."""
    return quantile(values, 0.5)


def ratio(values: ArrayLike, reference: ArrayLike) -> float:
    """Ratio of medians, as in the paper's Table 2.

    It is inf if the first fails, nan if the reference fails.
    """
    mine, other = median(values), median(reference)
    return mine / other if math.isfinite(other) and other > 0 else math.nan


def data_profile(costs: ArrayLike, dimensions: Sequence[int], budgets: ArrayLike) -> NDArray[np.float64]:
    r"""Share of problems solved within a budget: Moré and Wild's data profile.

    .. math:: d(\alpha) = \frac{1}{|P|} \left|\left\{ p \in P: \frac{t_p}{n_p + 1} \le \alpha \right\}\right|

    Parameters
    ----------
    costs : array_like, shape (p,)
        Evaluations :math:`t_p` until each problem was solved, inf if it was not. A start counts as a problem.
    dimensions : sequence of int, length p
        Numbers of parameters :math:`n_p`.
    budgets : array_like, shape (k,)
        Values of :math:`\alpha`, in simplex gradients: multiples of n + 1 evaluations.

    Returns
    -------
    ndarray, shape (k,)

    References
    ----------
    .. [1] Moré, Wild, "Benchmarking derivative-free optimization algorithms", SIAM J. Optim. 20(1), 2009, eq. 2.8.
    """
    scaled = np.asarray(costs, dtype=np.float64) / (np.asarray(dimensions) + 1)
    shares: NDArray[np.float64] = (scaled[None, :] <= np.asarray(budgets, dtype=np.float64)[:, None]).mean(1)
    return shares
