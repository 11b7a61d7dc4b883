"""What users of `scipy.optimize.minimize` write, in the words of our own `minimize`."""

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
    """A function with further arguments after the point; not a closure, so that it says what it is made of."""

    function: Callable[..., Any]
    args: tuple[Any, ...]

    def __call__(self, x: NDArray[np.float64]) -> Any:
        """Call it at `x`."""
        return self.function(x, *self.args)


def is_function(problem: Any) -> bool:
    """Whether a problem is given as a plain callable."""
    return callable(problem) and not isinstance(problem, Problem | type)


def are_numbers(value: Any) -> bool:
    """Whether a value can only be meant as numbers: a start, never the name of a part."""
    return isinstance(value, numbers.Number | list | tuple | range) or hasattr(value, "__array__")


def is_given(value: Any) -> bool:
    """Whether an argument is there: None and an empty tuple stand for nothing."""
    return value is not None and not (isinstance(value, tuple) and not value)


def by_position(problem: Any, parts: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    """What is given by position, beside what is by name: ``(estimator, method)``, or scipy's ``(x0, args, method)``.

    `named` holds what is given by name: estimator, method, x0 and args, None or () where it is not.
    """
    order: tuple[str, ...] = ("estimator", "method")
    said = "minimize(problem, estimator, method)"
    if is_function(problem) and parts and are_numbers(parts[0]):
        order, said = ("x0", "args", "method"), "minimize(fun, x0, args, method)"
        if len(parts) == 2 and (parts[1] is None or isinstance(parts[1], str | Optimizer)):
            order = ("x0", "method")
    if len(parts) > len(order):
        raise TypeError(f"by position there is {said}: give everything else by name, as jac=... or tol=...")
    given = dict(named)
    for name, value in zip(order, parts, strict=False):
        if is_given(given[name]):
            raise TypeError(f"'{name}' is given twice, by position and by name")
        given[name] = value
    return given


def with_arguments(function: Any, args: Any) -> Any:
    """A function with its further arguments; as in scipy, a single one need not be in a tuple."""
    if not callable(function) or not is_given(args):
        return function
    return WithArguments(function, args if isinstance(args, tuple) else (args,))
