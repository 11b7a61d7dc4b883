"""Translate arguments as users of `scipy.optimize.minimize` write them."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from invopt.core.optimizer import Optimizer
from invopt.core.problem import Problem

__all__ = ["WithArguments", "are_numbers", "by_position", "is_function", "is_given", "with_arguments"]


@frozen(eq=False)
class WithArguments:
    """Function with further arguments after the point.

    It is a class, so that its content can be read for digests.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]

    def __call__(self, x: NDArray[np.float64]) -> Any:
        """Call the function at `x`."""
        return self.function(x, *self.args)


def is_function(problem: Any) -> bool:
    """Return whether a problem is given as a plain callable."""
    return callable(problem) and not isinstance(problem, Problem | type)


def are_numbers(value: Any) -> bool:
    """Return whether a value can only be numbers.

    Such a value is a start, never an estimator or its name.
    """
    return isinstance(value, numbers.Number | list | tuple | range) or hasattr(value, "__array__")


def is_given(value: Any) -> bool:
    """Return whether an argument is given: None and an empty tuple are not."""
    return value is not None and not (isinstance(value, tuple) and not value)


def by_position(problem: Any, parts: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    """Join arguments by position with those by name.

    Positions are ``(estimator, method)`` or scipy's ``(x0, args, method)``.

    Parameters
    ----------
    problem : object
        First argument of `minimize`.
    parts : tuple
        All further arguments by position.
    named : mapping
        Arguments by name: estimator, method, x0 and args; None or () if not given.

    Returns
    -------
    dict
        All four by name.
    """
    order: tuple[str, ...] = ("estimator", "method")
    said = "minimize(problem, estimator, method)"
    if is_function(problem) and parts and are_numbers(parts[0]):
        order, said = ("x0", "args", "method"), "minimize(fun, x0, args, method)"
        if len(parts) == 2 and (parts[1] is None or isinstance(parts[1], str | Optimizer)):
            order = ("x0", "method")
    if len(parts) > len(order):
        raise TypeError(f"the arguments by position are {said}: give all others by name, as jac=... or tol=...")
    given = dict(named)
    for name, value in zip(order, parts, strict=False):
        if is_given(given[name]):
            raise TypeError(f"'{name}' is given twice, by position and by name")
        given[name] = value
    return given


def with_arguments(function: Any, args: Any) -> Any:
    """Return a function with its further arguments.

    As in scipy, a single one need not be in a tuple.
    """
    if not callable(function) or not is_given(args):
        return function
    return WithArguments(function, args if isinstance(args, tuple) else (args,))
