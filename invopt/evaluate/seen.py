"""Lowest value of a run and its point, whether the start is known, constraints."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.constraints import Limits
from invopt.core.estimator import Incumbent

__all__ = ["Seen"]

# Points whose constraints are remembered: those that the end of a run measures, at most 24, are among the last.
_MOST_ROWS = 256


class Seen:
    """The lowest value among all evaluations so far."""

    def __init__(self) -> None:
        self.lowest: Incumbent | None = None
        # The start, of shape (n,), if it is awaited and has not been evaluated.
        self.awaited: Tensor | None = None
        # With constraints: rows (f, c) by point, of the last points and of the one that violates least.
        self.rows: dict[bytes, NDArray[np.float64]] = {}
        self.nearest: Incumbent | None = None

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

    def add_rows(self, x: Tensor, rows: NDArray[np.float64], limits: Limits) -> None:
        """Note values and constraints at the rows of `x`."""
        for point, row, excess in zip(x, rows, limits.violations(rows).max(1, initial=0.0), strict=True):
            if np.isfinite(row).all():
                self.rows[_key(point)] = row.copy()
                if self.nearest is None or excess < self.nearest.fun:
                    self.nearest = Incumbent(point.clone(), float(excess))
        while len(self.rows) > _MOST_ROWS:
            oldest = next(key for key in self.rows if self.nearest is None or key != _key(self.nearest.x))
            del self.rows[oldest]

    def row(self, x: Tensor) -> NDArray[np.float64] | None:
        """Values and constraints at a point of shape (n,), if they are remembered."""
        return self.rows.get(_key(x))


def _key(x: Tensor) -> bytes:
    return x.double().numpy().tobytes()
