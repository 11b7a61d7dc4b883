"""Validation of what users pass to `minimize`: bounds, starts, limits, the composed parts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds

from invopt.core.estimator import Estimator
from invopt.core.formatting import shown
from invopt.core.objective import Capability
from invopt.core.optimizer import Optimizer
from invopt.core.problem import Problem
from invopt.core.registry import find, names, resolve
from invopt.core.validators import as_integer, as_list, as_real, as_vector, check_scale, plain, require
from invopt.exceptions import IncompatibleError
from invopt.run.scipy_habits import is_function, is_given, with_arguments

__all__ = ["as_bounds", "as_limit", "check_pairing", "check_start", "listed", "resolve_problem"]


def resolve_problem(
    problem: Any, x0: Any, bounds: Any, x_scale: Any, *, args: Any = (), jac: Any = None, hess: Any = None
) -> Problem:
    """Return the problem that an object, a name or a callable with `x0` stands for."""
    if not is_function(problem):
        for name, value in {"args": args, "jac": jac, "hess": hess}.items():
            if is_given(value):
                raise TypeError(f"'{name}' is for callables; a problem has its own: Function(fun=..., {name}=...)")
        resolved = resolve("problems", problem, "problem")
        assert isinstance(resolved, Problem)
        return resolved
    if x0 is None:
        raise TypeError("'x0' is needed where 'problem' is a callable: minimize(f, x0=[...])")
    own = {"fun": problem, "jac": jac, "hess": hess}
    functions = {name: with_arguments(function, args) for name, function in own.items()}
    made: Problem = find("problems", "function")(**functions, x0=x0, bounds=bounds, x_scale=x_scale)
    return made


def listed(values: Any) -> Any:
    """What an iterator gives, which it does only once; anything else as it is."""
    return as_list("bounds", values) if isinstance(values, Iterator) else values


def check_pairing(problem: Problem, estimator: Estimator, method: Optimizer) -> None:
    """Refuse parts whose flags do not fit, before the first evaluation."""
    if missing := estimator.needs & ~problem.provides:
        why = problem.why_not(missing)
        raise IncompatibleError(
            f"{type(estimator).__name__} needs {missing.name}, but {type(problem).__name__} provides "
            f"{problem.provides.name}{why and ': '}{why}"
        )
    if why := estimator.why_not(problem):
        raise IncompatibleError(f"{type(estimator).__name__} does not serve {type(problem).__name__}: {why}")
    if Capability.SIDES in problem.provides & ~estimator.needs:
        # Of some classes, what they need depends on the instance.
        known = [cls for cls in names("estimators").values() if isinstance(cls.needs, Capability)]
        fit = ", ".join(sorted({cls.__name__ for cls in known if Capability.SIDES in cls.needs}))
        raise IncompatibleError(
            f"{type(estimator).__name__} samples values around x, and x is the {problem.n} weights of "
            f"{type(problem).__name__}, of which a step of training tells more: use one of {fit}"
        )
    provided = estimator.provided(problem)
    if missing_order := method.requires & ~provided:
        raise IncompatibleError(
            f"{type(method).__name__} needs {missing_order.name}, but {type(estimator).__name__} provides "
            f"{provided.name}{'' if provided == estimator.provides else f' for this {type(problem).__name__}'}"
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
        # Equal ones hold a parameter; infinite ones hold it nowhere.
        fits = low[i] < high[i] or (low[i] == high[i] and math.isfinite(low[i]))
        require(
            "bounds",
            bool(fits),
            f"low < high, or both finite and equal to hold it, in parameter {i}",
            (float(low[i]), float(high[i])),
        )
    return Bounds(low, high)


def as_scale(problem: Problem, x_scale: Any, bounds: Bounds | None) -> NDArray[np.float64]:
    """Scales of a run: those given, or the problem's own, which bounds given with the run make no larger.

    `bounds` are those given with the run, if any.
    """
    if x_scale is None:
        return np.minimum(problem.x_scale, eighths(bounds, problem.n, np.inf))
    scale = as_vector("x_scale", x_scale, size=problem.n)
    check_scale(scale, x_scale)
    return scale


def eighths(bounds: Bounds | None, n: int, otherwise: float) -> NDArray[np.float64]:
    """An eighth of the box where it is finite, as a scale; elsewhere, and where a parameter is held, `otherwise`."""
    if bounds is None:
        return np.full(n, otherwise)
    width = np.asarray(bounds.ub - bounds.lb, dtype=np.float64)
    return np.where(np.isfinite(width) & (width > 0), width / 8, otherwise)


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
