"""LeastSquares: scipy's nonlinear least squares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.optimize
from attrs import field, frozen

from invopt.plugin import one_of

from .residual_search import Array, ResidualSearch

__all__ = ["LeastSquares"]


@frozen(kw_only=True)
class LeastSquares(ResidualSearch):
    """`scipy.optimize.least_squares` with differences of two points.

    Each evaluation of the residuals counts as one, those of the differences included.

    Parameters
    ----------
    algorithm : {"trf", "dogbox"}, default "trf"
        scipy's `method`; "lm" is left out, because it ignores bounds.

    References
    ----------
    .. [1] Branch, Coleman, Li, "A Subspace, Interior, and Conjugate Gradient Method for Large-Scale Bound-Constrained
       Minimization Problems", SIAM J. Sci. Comput. 21(1), 1999.
    """

    algorithm: str = field(default="trf", validator=one_of("trf", "dogbox"))

    def search(self, residuals: Callable[[Array], Array], x0: Array, low: Array, high: Array, seed: int) -> Array:
        """Search until scipy's tolerances are met."""
        start = np.clip(x0, low, high)
        algorithm: Any = self.algorithm
        found = scipy.optimize.least_squares(residuals, start, bounds=(low, high), method=algorithm)
        answer: Array = found.x
        return answer
