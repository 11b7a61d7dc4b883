"""LinearRows: functions of x that are standard normal under a prior."""

from __future__ import annotations

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

__all__ = ["LinearRows"]

Array = NDArray[np.float64]


@frozen(eq=False, kw_only=True)
class LinearRows:
    """Functions z = A x - b, which are independent and standard normal under a prior.

    Parameters
    ----------
    matrix : csr_matrix, shape (p, n)
        A, for x in the problem's own units.
    offsets : ndarray, shape (p,)
        b.
    periods : ndarray, shape (p,), optional
        Period of each z, inf where it has none; by default none has one.
    """

    matrix: csr_matrix
    offsets: Array
    periods: Array | None = None

    @property
    def size(self) -> int:
        """Number of functions, p."""
        return len(self.offsets)

    def at(self, x: Array) -> Array:
        """Values at the rows of `x`, shape (k, p)."""
        z = (self.matrix @ x.T).T - self.offsets
        if self.periods is not None:
            turning = np.isfinite(self.periods)
            z[:, turning] -= np.round(z[:, turning] / self.periods[turning]) * self.periods[turning]
        found: Array = z
        return found

    def gradient(self, x: Array) -> Array:
        """Gradient of half the sum of squares at `x` of shape (n,)."""
        found: Array = self.matrix.T @ self.at(x[None])[0]
        return found

    def hess(self) -> Array:
        """Its Hessian, A'A, shape (n, n)."""
        found: Array = (self.matrix.T @ self.matrix).toarray()
        return found

    def with_periods(self, periods: Array) -> LinearRows:
        """Return them with the periods of the parameters.

        Only functions of one parameter have one.
        """
        alone = np.diff(self.matrix.indptr) == 1
        first = self.matrix.indices[self.matrix.indptr[:-1][alone]]
        found = np.full(self.size, np.inf)
        found[alone] = np.abs(self.matrix.data[self.matrix.indptr[:-1][alone]]) * periods[first]
        return evolve(self, periods=found if np.isfinite(found).any() else None)

    def joined(self, other: LinearRows | None) -> LinearRows:
        """Return these functions and those of another prior."""
        if other is None:
            return self
        both = (self, other)
        periods = [np.full(each.size, np.inf) if each.periods is None else each.periods for each in both]
        return LinearRows(
            matrix=csr_matrix(vstack([self.matrix, other.matrix])),
            offsets=np.concatenate([self.offsets, other.offsets]),
            periods=np.concatenate(periods),
        )

    def placed(self, columns: slice, n: int) -> LinearRows:
        """Return the same functions of some columns of n parameters."""
        data, indices, ends = self.matrix.data, self.matrix.indices + columns.start, self.matrix.indptr
        return evolve(self, matrix=csr_matrix((data, indices, ends), shape=(self.size, n)))
