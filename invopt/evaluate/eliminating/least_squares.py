"""Sparse least squares with a prior and bounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_matrix, diags_array
from scipy.sparse.linalg import LinearOperator, cg

from invopt.evaluate.eliminating.prior import Prior

__all__ = ["Normal", "eliminate"]

Array = NDArray[np.float64]

# Most parameters for a dense factor of the normal equations; with more, conjugate gradients, which need no memory but
# for the Jacobian.
_MOST_DENSE = 2048
# Most rounds in which parameters beyond a bound are held there.
_MOST_ROUNDS = 4
# Share of a bound's distance that is rounding.
_ROUNDING = 1e-9
# Relative residual and iterations at which conjugate gradients end.
_TOLERANCE, _MOST_ITERATIONS = 1e-5, 300
# Level of the first solve where nothing is known, as a share of the mean square at the prior's mean; and solves.
_FIRST_SHARE, _SOLVES = 0.1, 2


class Normal:
    r"""Normal equations :math:`(J^T J + \lambda P) s = J^T b + \lambda P s_0`.

    Parameters
    ----------
    jacobian : csr_matrix, shape (m, n)
        J.
    right : ndarray, shape (m,)
        b.
    prior : Prior
        Its precision P and mean.
    """

    def __init__(self, jacobian: csr_matrix, right: Array, prior: Prior) -> None:
        self._jacobian, self._right, self._prior = jacobian, right, prior
        self._product = jacobian.T @ right
        self._hess = None
        if jacobian.shape[1] <= _MOST_DENSE:
            self._hess = (jacobian.T @ jacobian).toarray(), prior.precision.toarray()

    def left(self, s: Array) -> float:
        """Mean square of the residuals at `s`."""
        return float(np.square(self._jacobian @ s - self._right).mean())

    def solution(self, level: float, guess: Array) -> Array:
        """Minimum within the bounds; parameters beyond one are held there."""
        prior = self._prior
        s, free = guess.copy(), np.ones(guess.size, dtype=bool)
        for _ in range(_MOST_ROUNDS):
            s[free] = self._free(level, s, free)
            held = np.clip(s, prior.low, prior.high)
            outside = free & (np.abs(held - s) > _ROUNDING * (1 + np.abs(s)))
            s = held
            if not outside.any():
                break
            free &= ~outside
        return s

    def inverse(self, level: float, columns: Array) -> Array:
        """Products of the inverse of the matrix with columns of shape (n, k)."""
        if self._hess is not None:
            found: Array = cho_solve(cho_factor(self._matrix(level)), columns)
            return found
        every = np.ones(len(columns), dtype=bool)
        return np.stack([self._iterated(level, each, np.zeros(len(each)), every) for each in columns.T], 1)

    def _free(self, level: float, s: Array, free: NDArray[np.bool_]) -> Array:
        right = self._product + level * (self._prior.precision @ self._prior.start)
        if self._hess is None:
            held = np.where(free, 0.0, s)
            return self._iterated(level, right - self._times(level, held), np.where(free, s, 0.0), free)[free]
        matrix = self._matrix(level)
        if not free.all():
            right, matrix = (right - matrix[:, ~free] @ s[~free])[free], matrix[np.ix_(free, free)]
        found: Array = cho_solve(cho_factor(matrix, check_finite=False), right, check_finite=False)
        return found

    def _matrix(self, level: float) -> Array:
        assert self._hess is not None
        found: Array = self._hess[0] + level * self._hess[1]
        return found

    def _times(self, level: float, s: Array) -> Array:
        found: Array = self._jacobian.T @ (self._jacobian @ s) + level * (self._prior.precision @ s)
        return found

    def _iterated(self, level: float, right: Array, guess: Array, free: NDArray[np.bool_]) -> Array:
        """Conjugate gradients over the free parameters, preconditioned by the diagonal."""
        n = right.size
        diagonal = np.asarray(self._jacobian.multiply(self._jacobian).sum(0)).ravel()
        diagonal = diagonal + level * self._prior.precision.diagonal()

        def times(s: Array) -> Array:
            return np.where(free, self._times(level, np.where(free, s, 0.0)), s)

        found, _ = cg(
            LinearOperator((n, n), matvec=times, dtype=np.float64),
            np.where(free, right, 0.0),
            x0=np.where(free, guess, 0.0),
            rtol=_TOLERANCE,
            maxiter=_MOST_ITERATIONS,
            M=diags_array(1 / diagonal),
        )
        return np.asarray(found, dtype=np.float64)


def eliminate(normal: Normal, prior: Prior, level: float | None = None) -> tuple[Array, float]:
    """Solve with a prior whose weight is the mean square that is left over.

    This is empirical Bayes. Far from the answer of the other parameters much is left over: neighbours then change
    together. Near it, little is, and each changes by itself.

    Parameters
    ----------
    normal : Normal
        Equations.
    prior : Prior
        Their prior.
    level : float, optional
        The mean square left over, if it is known.

    Returns
    -------
    tuple of ndarray and float
        Solution, shape (n,), and the mean square left over.
    """
    if level is not None:
        s = normal.solution(level, prior.start)
        return s, normal.left(s)
    s, level = prior.start, _FIRST_SHARE * normal.left(prior.start)
    for _ in range(_SOLVES):
        s = normal.solution(level, s)
        level = normal.left(s)
    return s, level
