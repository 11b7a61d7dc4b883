"""Validation of what users pass to `minimize`: bounds, starts, limits, the composed parts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds

from invopt._estimator import Estimator
from invopt._optimizer import Optimizer
from invopt._problem import Capability, Problem
from invopt._registry import find, names, resolve
from invopt._validators import as_integer, as_real, as_vector, require
from invopt.exceptions import IncompatibleError

__all__ = ["as_bounds", "as_limit", "check_pairing", "check_start", "resolve_problem"]


def resolve_problem(problem: Any, x0: Any, bounds: Any, x_scale: Any) -> Problem:
    """Return the problem that an object, a name or a callable with `x0` stands for."""
    if not callable(problem) or isinstance(problem, Problem | type):
        resolved = resolve("problems", problem, "problem")
        assert isinstance(resolved, Problem)
        return resolved
    if x0 is None:
        raise TypeError("'x0' is needed where 'problem' is a callable: minimize(f, x0=[...])")
    made: Problem = find("problems", "function")(fun=problem, x0=x0, bounds=bounds, x_scale=x_scale)
    return made


def check_pairing(problem: Problem, estimator: Estimator, method: Optimizer) -> None:
    """Refuse parts whose flags do not fit, before the first evaluation."""
    if missing := estimator.needs & ~problem.provides:
        why = problem.why_not(missing)
        raise IncompatibleError(
            f"{type(estimator).__name__} needs {missing.name}, but {type(problem).__name__} provides "
            f"{problem.provides.name}{why and ': '}{why}"
        )
    if Capability.SIDES in problem.provides & ~estimator.needs:
        # Of some classes, what they need depends on the instance.
        known = [cls for cls in names("estimators").values() if isinstance(cls.needs, Capability)]
        fit = ", ".join(sorted({cls.__name__ for cls in known if Capability.SIDES in cls.needs}))
        raise IncompatibleError(
            f"{type(estimator).__name__} samples values around x, and x is the {problem.n} weights of "
            f"{type(problem).__name__}, of which a step of training tells more: use one of {fit}"
        )
    if missing_order := method.requires & ~estimator.provides:
        raise IncompatibleError(
            f"{type(method).__name__} needs {missing_order.name}, but {type(estimator).__name__} provides "
            f"{estimator.provides.name}"
        )


def as_bounds(bounds: Any, n: int) -> Bounds | None:
    """Bounds from scipy's `Bounds` or n pairs (low, high), None meaning no bound; low must be below high."""
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
        require("bounds", low[i] < high[i], f"low < high in parameter {i}", (float(low[i]), float(high[i])))
    return Bounds(low, high)


def _broadcast(limit: Any, n: int) -> NDArray[Any]:
    try:
        return np.broadcast_to(limit, (n,))
    except ValueError:
        raise ValueError(f"'bounds' must have {n} elements, one for each parameter, or one: {limit!r}") from None


def _from_pairs(bounds: Any, n: int) -> tuple[list[float], list[float]]:
    try:
        pairs = [tuple(pair) for pair in bounds]
    except TypeError:
        raise TypeError(f"'bounds' must be scipy.optimize.Bounds or n pairs (low, high): {bounds!r}") from None
    if len(pairs) != n or any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"'bounds' must be {n} pairs (low, high), one for each parameter: {bounds!r}")
    low = [-math.inf if pair[0] is None else as_real("bounds", pair[0]) for pair in pairs]
    high = [math.inf if pair[1] is None else as_real("bounds", pair[1]) for pair in pairs]
    return low, high


def check_start(x0: Any, bounds: Bounds | None, n: int, name: str = "x0") -> NDArray[np.float64]:
    """Return `x0` as a fresh float64 vector inside the bounds, or raise."""
    start = as_vector(name, x0, size=n)
    if bounds is not None:
        for i in np.flatnonzero((start < bounds.lb) | (start > bounds.ub)):
            raise ValueError(
                f"{name!r} must be inside the bounds: {name}[{i}] = {start[i]:g} is outside "
                f"[{bounds.lb[i]:g}, {bounds.ub[i]:g}]"
            )
    return start


def as_limit(name: str, value: Any, *, whole: bool = True) -> float:
    """Return a budget as a number, inf for None; anything below 1 (or 0 for times) is an error."""
    if value is None:
        return math.inf
    if whole and not (isinstance(value, float) and value == math.inf):
        limit = as_real(name, as_integer(name, value))
        require(name, limit >= 1, ">= 1", value)
        return limit
    limit = as_real(name, value)
    require(name, limit > 0, "> 0", value)
    return limit
