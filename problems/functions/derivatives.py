"""Derivatives that users give with their functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from invopt.exceptions import WrongValueError
from invopt.plugin import require, shown

from .values import as_values

__all__ = ["FunctionDerivatives", "Functions", "as_hess", "as_jac", "check_derivatives", "pair"]

# Largest difference between a Hessian and its transpose, relative to the largest element: Hessians by differences of
# gradients are symmetric up to their truncation error.
_LARGEST_ASYMMETRY = 1e-3

Array = NDArray[np.float64]


def as_jac(value: Any) -> Any:
    """Return a gradient, which is callable, True or None; False becomes None."""
    return True if value is True else _as_derivative("jac", value, "callable, or True if 'fun' returns (f, jac)")


def as_hess(value: Any) -> Any:
    """Return a Hessian, which is callable or None; False becomes None."""
    return _as_derivative("hess", value, "callable")


def _as_derivative(name: str, value: Any, rule: str) -> Any:
    if value is None or value is False:
        return None
    if not callable(value):
        raise TypeError(f"'{name}' must be {rule}: {shown(value)}; leave it out to have it estimated from values")
    return value


def check_derivatives(jac: Any, hess: Any, *, residuals: bool) -> None:
    """Raise for a Hessian without a gradient, or of residuals."""
    require("hess", hess is None or jac is not None, "given together with 'jac'", hess)
    require("hess", hess is None or not residuals, "left out with residuals", hess)


class Functions(Protocol):
    """The part of `Function` that its derivatives need."""

    @property
    def fun(self) -> Any:
        """Values or residuals."""

    @property
    def jac(self) -> Any:
        """Their derivatives; True if `fun` returns both."""

    @property
    def hess(self) -> Any:
        """Hessian."""

    @property
    def residuals(self) -> bool:
        """Whether `fun` returns residuals."""

    @property
    def vectorized(self) -> bool:
        """Whether the functions take several points at once."""


class FunctionDerivatives:
    """Calls the derivatives of a `Function` and checks their shapes.

    Parameters
    ----------
    problem : Functions
        The problem whose `jac` and `hess` are called.
    call : callable
        ``call(function, x, seed)`` with the keywords that the problem's functions take.
    """

    def __init__(self, problem: Functions, call: Callable[[Callable[..., Any], Array, Any], Any]) -> None:
        self._problem = problem
        self._call = call

    def value_and_jac(self, x: Array, seed: int) -> tuple[float, Array]:
        """Value and gradient at `x` of shape (n,).

        Those of the mean square if the problem has residuals.
        """
        rows: tuple[int | None, ...] = (None,) if self._problem.residuals else ()
        if self._problem.jac is True:
            value, jac = pair(self._at(self._problem.fun, x, seed))
        else:
            value, jac = self._at(self._problem.fun, x, seed), self._at(self._problem.jac, x, seed)
        values, slopes = self._shaped("fun", value, rows), self._shaped("jac", jac, (*rows, len(x)))
        if not self._problem.residuals:
            return float(values), slopes
        if len(slopes) != len(values):
            raise WrongValueError(f"'jac' must have a row for each of {len(values)} residuals, got {len(slopes)}")
        gradient: Array = 2 / len(values) * (values @ slopes)
        return float(np.square(values).mean()), gradient

    def hess(self, x: Array, seed: int) -> Array:
        """Hessian at `x` of shape (n,)."""
        hess = self._shaped("hess", self._at(self._problem.hess, x, seed), (len(x), len(x)))
        asymmetry = float(np.abs(hess - hess.T).max())
        if asymmetry > _LARGEST_ASYMMETRY * float(np.abs(hess).max()):
            raise WrongValueError(f"'hess' must return a symmetric matrix: elements differ by {asymmetry:g}")
        symmetric: Array = (hess + hess.T) / 2
        return symmetric

    def _at(self, function: Any, x: Array, seed: int) -> Any:
        """Return what a function returns at a copy of the point."""
        if self._problem.vectorized:
            return self._call(function, x[None].copy(), np.array([seed]))
        return self._call(function, x.copy(), seed)

    def _shaped(self, name: str, value: Any, shape: tuple[int | None, ...]) -> Array:
        if not self._problem.vectorized:
            return as_values(value, shape, name)
        first: Array = as_values(value, (1, *shape), name)[0]
        return first


def pair(returned: Any) -> tuple[Any, Any]:
    """Return the two parts of what `fun` returns with ``jac=True``."""
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        raise WrongValueError(f"'fun' must return (f, jac) with jac=True, got {type(returned).__name__}")
    return returned[0], returned[1]
