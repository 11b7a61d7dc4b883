"""Bounds, scales and starts as users pass them, validated."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds

from invopt.core.formatting import shown
from invopt.core.problem import Problem
from invopt.core.validators import as_list, as_real, as_vector, check_scale, plain, require

__all__ = ["as_bounds", "as_scale", "check_start", "eighths"]

# A typical change is an eighth of the box width: eight scales span the box.
_SCALES_PER_BOX = 8


def as_bounds(bounds: Any, n: int) -> Bounds | None:
    """Return bounds from scipy's `Bounds` or n pairs (low, high).

    None means no bound; low must be below high.
    """
    if bounds is None:
        return None
    given: tuple[Any, Any]
    if isinstance(bounds, Bounds):
        given = _broadcast(bounds.lb, n), _broadcast(bounds.ub, n)
    else:
        given = _from_pairs(bounds, n)
    low = as_vector("bounds (low)", given[0], size=n, finite=False)
    high = as_vector("bounds (high)", given[1], size=n, finite=False)
    for i in range(n):
        # Equal finite bounds fix a parameter.
        fits = low[i] < high[i] or (low[i] == high[i] and math.isfinite(low[i]))
        require(
            "bounds",
            bool(fits),
            f"low < high, or both finite and equal to fix it, in parameter {i}",
            (float(low[i]), float(high[i])),
        )
    return Bounds(low, high)


def as_scale(problem: Problem, x_scale: Any, bounds: Bounds | None) -> NDArray[np.float64]:
    """Return the scales of a run.

    They are `x_scale`, or the problem's own, at most an eighth of each box width.

    Parameters
    ----------
    problem : Problem
    x_scale : array_like or None
        As given to the run.
    bounds : Bounds or None
        As given to the run; the problem's own bounds do not change its scales.
    """
    if x_scale is None:
        return np.minimum(problem.x_scale, eighths(bounds, problem.n, np.inf))
    scale = as_vector("x_scale", x_scale, size=problem.n)
    check_scale(scale, x_scale)
    return scale


def eighths(bounds: Bounds | None, n: int, otherwise: float) -> NDArray[np.float64]:
    """Return scales of an eighth of the box width.

    `otherwise` where the width is infinite or a parameter is fixed.
    """
    if bounds is None:
        return np.full(n, otherwise)
    box_width = np.asarray(bounds.ub - bounds.lb, dtype=np.float64)
    return np.where(np.isfinite(box_width) & (box_width > 0), box_width / _SCALES_PER_BOX, otherwise)


def _broadcast(limit: Any, n: int) -> NDArray[Any]:
    try:
        return np.broadcast_to(limit, (n,))
    except ValueError:
        raise ValueError(f"'bounds' must have {n} elements, one for each parameter, or one: {shown(limit)}") from None


def _from_pairs(bounds: Any, n: int) -> tuple[list[float], list[float]]:
    try:
        pairs = [tuple(as_list("bounds", pair)) for pair in as_list("bounds", plain(bounds))]
    except (TypeError, RuntimeError):
        raise TypeError(f"'bounds' must be scipy.optimize.Bounds or n pairs (low, high): {shown(bounds)}") from None
    if len(pairs) != n or any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"'bounds' must be {n} pairs (low, high), one for each parameter: {shown(bounds)}")
    low = [-math.inf if pair[0] is None else as_real("bounds", pair[0]) for pair in pairs]
    high = [math.inf if pair[1] is None else as_real("bounds", pair[1]) for pair in pairs]
    return low, high


def check_start(x0: Any, bounds: Bounds | None, n: int, name: str = "x0") -> NDArray[np.float64]:
    """Return `x0` as a fresh float64 vector inside the bounds, or raise."""
    start = as_vector(name, x0, size=n, scalar=True)
    if bounds is not None:
        for i in np.flatnonzero((start < bounds.lb) | (start > bounds.ub)):
            raise ValueError(
                f"{name!r} must be inside the bounds: {name}[{i}] = {start[i]:g} is outside "
                f"[{bounds.lb[i]:g}, {bounds.ub[i]:g}]"
            )
    return start
