"""Read constraints as scipy has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy.optimize import LinearConstraint, NonlinearConstraint

from invopt.core.constraints.constrained import Constrained, as_values
from invopt.core.constraints.limits import Limits, Returned
from invopt.core.formatting import shown
from invopt.core.objective import Capability
from invopt.core.problem import Problem, has_weights
from invopt.core.validators import require
from invopt.exceptions import IncompatibleError

__all__ = ["as_constraints", "with_constraints"]

Array = NDArray[np.float64]

_RULE = (
    "LinearConstraint or NonlinearConstraint of scipy, dictionaries as scipy's minimize takes them, such as {'type': "
    "'ineq', 'fun': g}, or invopt.Returned"
)


class _Part(NamedTuple):
    """One constraint: its function or slopes, and its limits."""

    low: Array
    high: Array
    function: Callable[..., Any] | None = None
    slopes: Array | None = None


@frozen
class _WithArguments:
    """A constraint of a dictionary with further arguments."""

    function: Callable[..., Any]
    args: tuple[Any, ...]

    def __call__(self, x: Array) -> Any:
        return self.function(x, *self.args)


def as_constraints(value: Any) -> tuple[Any, ...]:
    """Return constraints as a tuple, empty for none.

    Raises
    ------
    TypeError, ValueError
        Unless they are as scipy has them, or a single `Returned`.
    """
    known = LinearConstraint | NonlinearConstraint | Returned
    if value is None:
        return ()
    given = (value,) if isinstance(value, known | Mapping) else value
    if isinstance(given, Mapping) or not isinstance(given, Sequence) or isinstance(given, str):
        raise TypeError(f"'constraints' must be {_RULE}: {shown(value)}")
    found = tuple(item for item in given if not (isinstance(item, Mapping) and not item and value is item))
    for item in found:
        if isinstance(item, Mapping):
            _check_mapping(item)
        elif not isinstance(item, known):
            raise TypeError(f"'constraints' must be {_RULE}: {shown(item)}")
        elif np.any(getattr(item, "keep_feasible", False)):
            raise IncompatibleError("'keep_feasible' of a constraint is not supported: only bounds hold at every point")
    if any(isinstance(item, Returned) for item in found) and len(found) > 1:
        others = sum(not isinstance(item, LinearConstraint | Returned) for item in found)
        several = sum(isinstance(item, Returned) for item in found) > 1
        require("constraints", not others and not several, "one Returned, beside linear ones only", value)
    return found


def _check_mapping(item: Mapping[str, Any]) -> None:
    kind = item.get("type")
    known = isinstance(kind, str) and kind.lower() in ("eq", "ineq") and callable(item.get("fun"))
    if not known:
        raise TypeError(f"'constraints' must be {_RULE}: {shown(dict(item))}")


def with_constraints(problem: Problem, given: tuple[Any, ...], x0: Array) -> Problem:
    """Return a problem with constraints.

    `x0` is a point at which their number of values is counted.
    """
    if not given:
        return problem
    if has_weights(problem) or Capability.CHAIN in problem.provides:
        raise IncompatibleError("'constraints' are for parameters, and x holds the weights of a network")
    returned = next((item for item in given if isinstance(item, Returned)), None)
    if returned is not None and not hasattr(problem, "fun"):
        raise IncompatibleError(f"'constraints' that `fun` returns are for functions, not {type(problem).__name__}")
    if returned is not None and getattr(problem, "vectorized", False):
        raise IncompatibleError("'constraints' that `fun` returns are for one point a call: leave out 'vectorized'")
    parts = [_part(item, x0) for item in given if not isinstance(item, Returned)]
    linear = [part for part in parts if part.slopes is not None]
    others = [part for part in parts if part.slopes is None]
    if returned is not None:
        low, high = np.broadcast_arrays(returned.lb, returned.ub)
        others = [_Part(np.array(low), np.array(high))]
    limits = Limits(
        low=np.concatenate([part.low for part in [*others, *linear]]),
        high=np.concatenate([part.high for part in [*others, *linear]]),
        slopes=np.concatenate([np.zeros((0, x0.size)), *(part.slopes for part in linear if part.slopes is not None)]),
        tol=0.0 if returned is None else returned.tol,
    )
    functions = tuple(part.function for part in others if part.function is not None)
    return Constrained(problem=problem, limits=limits, functions=None if returned is not None else functions)


def _part(item: Any, x0: Array) -> _Part:
    """Read one constraint."""
    if isinstance(item, LinearConstraint):
        return _linear(item, x0)
    if isinstance(item, NonlinearConstraint):
        size = as_values(item.fun(x0.copy())).size
        return _Part(*_sides(item.lb, item.ub, size), item.fun)
    args = item.get("args", ())
    function = _WithArguments(item["fun"], tuple(args) if isinstance(args, tuple | list) else (args,))
    size = as_values(function(x0.copy())).size
    return _Part(*_sides(0.0, 0.0 if item["type"].lower() == "eq" else np.inf, size), function)


def _linear(item: LinearConstraint, x0: Array) -> _Part:
    slopes = np.atleast_2d(np.asarray(item.A.toarray() if hasattr(item.A, "toarray") else item.A, dtype=np.float64))
    require("constraints", slopes.shape[1] == x0.size, f"of n = {x0.size} columns in LinearConstraint", slopes.shape)
    require("constraints", bool(np.isfinite(slopes).all()), "finite in LinearConstraint", item.A)
    return _Part(*_sides(item.lb, item.ub, len(slopes)), None, slopes)


def _sides(low: Any, high: Any, size: int) -> tuple[Array, Array]:
    """Limits of a constraint, one for each of its values."""
    sides = []
    for name, value in (("lb", low), ("ub", high)):
        side = np.atleast_1d(np.asarray(value, dtype=np.float64))
        fits = side.ndim == 1 and side.size in (1, size) and not np.isnan(side).any()
        require("constraints", fits, f"of one number or {size} numbers in {name!r}", value)
        sides.append(np.array(np.broadcast_to(side, size)))
    require("constraints", bool((sides[0] <= sides[1]).all()), "such that lb <= ub", sides)
    return sides[0], sides[1]
