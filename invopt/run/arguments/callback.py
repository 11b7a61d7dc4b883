"""Callbacks as in scipy: called with the point, with the result, or with both."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from attrs import frozen

from invopt.core.formatting import shown
from invopt.core.result import OptimizeResult

__all__ = ["Callback", "as_callback"]


class _Takes(enum.Enum):
    RESULT = enum.auto()
    POINT = enum.auto()
    BOTH = enum.auto()


@frozen(eq=False)
class Callback:
    """A user's callback, and the arguments it takes."""

    function: Callable[..., Any]
    takes: _Takes

    def ends(self, result: OptimizeResult) -> bool:
        """Call it after an iteration; return whether it ends the run."""
        try:
            if self.takes is _Takes.RESULT:
                self.function(intermediate_result=result)
            elif self.takes is _Takes.POINT:
                self.function(np.array(result.x))
            else:
                # The only kind whose return value scipy reads.
                return _says(self.function(np.array(result.x), result))
        except StopIteration:
            return True
        return False


def as_callback(value: Any, *, with_state: bool = False) -> Callback | None:
    """Return a callback with the arguments that its signature takes; None as None.

    As in scipy, a parameter named ``intermediate_result`` is given the result by keyword, and any other single
    parameter the point. `with_state`: scipy calls callbacks of this method with the point and the result.
    """
    if value is None:
        return None
    if not callable(value):
        raise TypeError(f"'callback' must be callable as callback(xk) or callback(intermediate_result): {shown(value)}")
    if inspect.iscoroutinefunction(value) or inspect.isgeneratorfunction(value):
        raise TypeError(f"'callback' must be an ordinary function, not a coroutine or generator: {shown(value)}")
    return Callback(value, _taken(value, with_state))


def _says(answer: object) -> bool:
    """Return whether a callback's return value is true, as scipy reads it."""
    try:
        return bool(answer)
    except Exception as error:
        raise TypeError(
            f"'callback' as callback(xk, state) must return whether to end the run: {shown(answer)}"
        ) from error


def _taken(function: Callable[..., Any], with_state: bool) -> _Takes:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        # Some builtins have no signature.
        return _Takes.POINT
    named = signature.parameters.get("intermediate_result")
    by_keyword = named is not None and named.kind is not inspect.Parameter.POSITIONAL_ONLY
    if by_keyword and _fits(signature, intermediate_result=None):
        return _Takes.RESULT
    if with_state and _fits(signature, None, None):
        return _Takes.BOTH
    if _fits(signature, None):
        return _Takes.POINT
    if _fits(signature, intermediate_result=None):
        return _Takes.RESULT
    pair = "; callback(xk, state) is for Scipy('trust-constr') alone" if _fits(signature, None, None) else ""
    raise TypeError(
        f"'callback' must be callable as callback(xk) or callback(intermediate_result), and takes {signature}{pair}: "
        f"{shown(function)}"
    )


def _fits(signature: inspect.Signature, *positional: Any, **named: Any) -> bool:
    try:
        signature.bind(*positional, **named)
    except TypeError:
        return False
    return True
