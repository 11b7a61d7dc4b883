"""Limits: between which the values of constraints must be."""

from __future__ import annotations

import numpy as np
from attrs import field, frozen
from numpy.typing import ArrayLike, NDArray

from invopt.core.validators import as_vector, real, require

__all__ = ["Limits", "Returned"]

Array = NDArray[np.float64]

# Violation, relative to the larger of the limit and 1, up to which a point counts as feasible: a thousandth of the
# accuracy that is asked of the objective in tests of constrained methods.
_FEASIBLE = 1e-6


@frozen(eq=False, kw_only=True)
class Limits:
    """Closed ranges of the values of constraints.

    Values come as rows (f, c), the objective and then p + q constraints, the last q of which are linear.

    Parameters
    ----------
    low, high : ndarray, shape (p + q,)
        Ranges; equal for an equality.
    slopes : ndarray, shape (q, n)
        Slopes of the linear constraints, in the problem's own units.
    tol : float, default 0
        Violation up to which a point counts as feasible, beside rounding.
    """

    low: Array
    high: Array
    slopes: Array
    tol: float = 0.0

    @property
    def tolerances(self) -> Array:
        """Violation of each constraint up to which a point counts as feasible."""
        ends = np.stack([self.low, self.high])
        size = np.where(np.isfinite(ends), np.abs(ends), 0.0).max(0, initial=1.0)
        found: Array = np.maximum(_FEASIBLE * size, self.tol)
        return found

    def violations(self, rows: Array) -> Array:
        """Violation of each constraint, shape (k, p + q), of rows (f, c)."""
        found: Array = np.maximum(np.maximum(self.low - rows[:, 1:], rows[:, 1:] - self.high), 0.0)
        return found

    def merit(self, rows: Array) -> Array:
        """Value of each row: f where the constraints hold, else inf.

        Nan for a failed evaluation.
        """
        with np.errstate(invalid="ignore"):
            feasible = (self.violations(rows) <= self.tolerances).all(1)
        found: Array = np.where(np.isnan(rows).any(1), np.nan, np.where(feasible, rows[:, 0], np.inf))
        return found


def _as_low(value: ArrayLike) -> Array:
    return as_vector("lb", value, scalar=True, finite=False)


def _as_high(value: ArrayLike) -> Array:
    return as_vector("ub", value, scalar=True, finite=False)


@frozen(eq=False)
class Returned:
    """Constraints whose values `fun` returns with its own.

    The function returns a pair, ``fun(x) -> (f, c)``.

    For constraints that are as expensive as the objective, such as stresses that the same simulation computes.

    Parameters
    ----------
    lb, ub : float or array_like, shape (p,)
        Closed range of each value of ``c``; -inf and inf where there is no limit, equal for an equality.
    tol : float, default 0
        Violation up to which a point counts as feasible, in units of ``c``: at least the noise of ``c``. Rounding, 1e-6
        of the limit, is always allowed.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or shape, or no range is left.

    Examples
    --------
    >>> import invopt
    >>> fun = lambda x: (x[0] + x[1], x[0] * x[1])
    >>> res = invopt.minimize(fun, x0=[3.0, 2.0], constraints=invopt.Returned(1.0, float("inf")), bounds=[(0, 4)] * 2)
    >>> [round(float(value), 3) for value in res.x]
    [1.0, 1.0]
    """

    lb: Array = field(converter=_as_low)
    ub: Array = field(converter=_as_high)
    tol: float = field(default=0.0, validator=real(minimum=0))

    def __attrs_post_init__(self) -> None:
        sizes = {self.lb.size, self.ub.size} - {1}
        require("ub", len(sizes) <= 1, f"of as many elements as 'lb', {self.lb.size}", self.ub.tolist())
        require("lb", bool((self.lb <= self.ub).all()), "<= 'ub'", self.lb.tolist())
