"""The lowest value of a run, and where it was."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Lowest", "Seen"]


class Lowest(NamedTuple):
    """A point of shape (n,), in units of `x_scale`, and the value there."""

    x: Tensor
    fun: float


class Seen:
    """The lowest value among all evaluations so far."""

    def __init__(self) -> None:
        self.lowest: Lowest | None = None

    def add(self, x: Tensor, values: NDArray[np.float64]) -> None:
        """Take note of the values at the rows of `x`; those that are not finite do not count."""
        finite = np.where(np.isfinite(values), values, np.inf)
        i = int(finite.argmin())
        if np.isfinite(finite[i]) and (self.lowest is None or finite[i] < self.lowest.fun):
            # The row of a batch would keep all of it in memory.
            self.lowest = Lowest(x[i].clone(), float(finite[i]))
