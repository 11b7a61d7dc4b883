"""LogDensity: any callable as a prior."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from invopt.core.formatting import shown
from invopt.exceptions import WrongValueError

__all__ = ["LogDensity"]


@frozen(eq=False)
class LogDensity:
    """Logarithm of a prior density, up to a constant.

    Parameters
    ----------
    function : callable
        ``function(x) -> float`` for `x` of shape (n,), in the problem's own units; -inf where x is impossible.
    """

    function: Callable[..., Any]

    def at(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values at the rows of `x`, shape (k,)."""
        return np.array([self._one(row) for row in x])

    def _one(self, x: NDArray[np.float64]) -> float:
        value = self.function(x.copy())
        try:
            number = float(np.asarray(value, dtype=np.float64).reshape(()) if np.size(value) == 1 else math.nan)
        except (TypeError, ValueError):
            number = math.nan
        if math.isnan(number) or number == math.inf:
            raise WrongValueError(
                f"'prior' must return one number below inf, the log density at a point: {shown(value)}; for "
                f"independent parameters it is the sum"
            )
        return number
