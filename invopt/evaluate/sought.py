"""Which parameters are optimised: those whose bounds differ.

The others are fixed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from attrs import frozen
from numpy.typing import NDArray
from scipy.optimize import Bounds
from torch import Tensor

__all__ = ["Sought"]


@frozen(kw_only=True, eq=False)
class Sought:
    """Parameters that are optimised, among all n of a problem.

    Parameters
    ----------
    free : ndarray of bool, shape (n,)
        Which are optimised.
    held : ndarray, shape (n,)
        Values of the fixed ones, in the problem's own units; entries of the others are not used.
    """

    free: NDArray[np.bool_]
    held: NDArray[np.float64]

    @classmethod
    def within(cls, bounds: Bounds | None, x0: NDArray[np.float64]) -> Sought:
        """All parameters, except those whose bounds are equal."""
        if bounds is None:
            return cls(free=np.ones(x0.size, dtype=bool), held=x0)
        return cls(free=bounds.lb < bounds.ub, held=x0)

    @property
    def all(self) -> bool:
        """Whether every parameter is optimised."""
        return bool(self.free.all())

    @property
    def n(self) -> int:
        """Number of optimised parameters."""
        return int(self.free.sum())

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """Entries of a vector that belong to optimised parameters."""
        return values if self.all else values[self.free]

    def points(self, x: Tensor) -> Tensor:
        """Points of all parameters, shape (..., n), from the optimised ones."""
        if self.all:
            return x
        whole = torch.as_tensor(self.held, dtype=x.dtype).expand(*x.shape[:-1], -1).clone()
        whole[..., torch.from_numpy(self.free)] = x
        return whole

    def whole(self, values: NDArray[np.float64], held: float = 0.0) -> NDArray[np.float64]:
        """A vector over all parameters from one over the optimised ones.

        `held` is put in for the others.
        """
        if self.all:
            return values
        found = np.full(self.free.size, held)
        found[self.free] = values
        return found
