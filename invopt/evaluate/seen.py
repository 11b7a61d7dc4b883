"""Lowest value of a run and its point, and whether the start has been evaluated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.estimator import Incumbent

__all__ = ["Seen"]


class Seen:
    """The lowest value among all evaluations so far."""

    def __init__(self) -> None:
        self.lowest: Incumbent | None = None
        # The start, of shape (n,), if it is awaited and has not been evaluated.
        self.awaited: Tensor | None = None

    def await_start(self, x: Tensor) -> None:
        """Await the evaluation of a start of shape (n,), in units of `x_scale`."""
        self.awaited = x

    def awaits(self, x: Tensor) -> bool:
        """Whether the start is awaited and among the rows of `x`."""
        return self.awaited is not None and bool((x == self.awaited).all(1).any())

    def add(self, x: Tensor, values: NDArray[np.float64]) -> None:
        """Note the values at the rows of `x`; those that are not finite are ignored."""
        if self.awaits(x):
            self.awaited = None
        finite = np.where(np.isfinite(values), values, np.inf)
        i = int(finite.argmin())
        if np.isfinite(finite[i]) and (self.lowest is None or finite[i] < self.lowest.fun):
            # A copy: a view of one row would keep the whole batch in memory.
            self.lowest = Incumbent(x[i].clone(), float(finite[i]))
