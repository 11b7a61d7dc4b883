"""Footprints of residuals: the few neighbours in a grid that each depends on."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

__all__ = ["REACH", "Footprints"]

Array = NDArray[np.float64]

# Rows and columns to either side of the nearest texel that a residual may depend on.
REACH = 2
# Prior standard deviation of a weight, at the place itself; it falls with the distance as a Gaussian of this width, in
# texels, and is 0 from this distance on. Measured on TEXTURE of 64, 128 and 32 pixels and on three other scenes: the
# error of unseen random signs, after ramps and 8 random signs, is 0.002, 0.001, 0.04, 0.01, 0.04, 0.004. With a
# deviation of 0.3 it is 1.3 times as large, with a width of 0.45, 2 to 4 times, with 1.1 and 2.5, 2 times.
_PRIOR, _WIDTH, _FARTHEST = 0.6, 0.6, 1.6
# Variance of a change relative to gain and perturbation, so that equal perturbations can be fitted. Measured in the
# same way, with a prior deviation of 0.3: 1e-2 and 1e-4 give errors 2 and 0.7 times as large.
_NUGGET = 1e-3
# Residuals treated at once, which limits memory: with 8 perturbations they take 13 MB.
_RESIDUALS_AT_ONCE = 8192


@frozen(eq=False)
class Footprints:
    """Gain, neighbours and weights of each of m residuals.

    Attributes
    ----------
    gain : ndarray, shape (m,)
        Sum of the derivatives of a residual; 0 if it depends on nothing.
    indices : ndarray, shape (m, k)
        Parameters that it may depend on; -1 for none.
    weights : ndarray, shape (m, k)
        Their shares in the gain.
    spread : ndarray, shape (m, k)
        Prior standard deviations of the weights.
    """

    gain: Array
    indices: NDArray[np.int64]
    weights: Array
    spread: Array

    @classmethod
    def around(cls, gain: Array, indices: NDArray[np.int64], down: Array, across: Array) -> Footprints:
        """Bilinear weights around places.

        `down` and `across` are distances from them in texels.
        """
        free = (indices >= 0) & (gain != 0)[:, None]
        down, across = np.abs(down), np.abs(across)
        weights = np.maximum(1 - down, 0) * np.maximum(1 - across, 0) * free
        total = weights.sum(1, keepdims=True)
        weights /= np.where(total > 0, total, 1)
        near = free & (down < _FARTHEST) & (across < _FARTHEST)
        spread = _PRIOR * np.exp(-(down**2 + across**2) / (2 * _WIDTH**2)) * near
        return cls(gain, np.where(free, indices, -1), weights, spread)

    def jacobian(self, steps: Array, changes: Array) -> csr_matrix:
        """Jacobian of shape (m, n), from all perturbations so far.

        The weights are those of a Gaussian process whose mean is bilinear, given the changes of the residuals.

        Parameters
        ----------
        steps : ndarray, shape (k, n)
            Perturbations.
        changes : ndarray, shape (k, m)
            Resulting changes of the residuals.
        """
        m, k = self.indices.shape
        weights = np.empty((m, k))
        size = float(np.square(steps).mean())
        for first in range(0, m, _RESIDUALS_AT_ONCE):
            rows = slice(first, first + _RESIDUALS_AT_ONCE)
            weights[rows] = self._corrected(rows, steps.T, changes[:, rows].T, _NUGGET * size)
        values = weights * self.gain[:, None]
        kept = (self.indices >= 0) & (values != 0)
        owners = np.broadcast_to(np.arange(m)[:, None], (m, k))
        return csr_matrix((values[kept], (owners[kept], self.indices[kept])), shape=(m, steps.shape[1]))

    def _corrected(self, rows: slice, steps: Array, changes: Array, nugget: float) -> Array:
        """Weights of some residuals, given perturbations (n, k) and changes (rows, k)."""
        gain, weights, variance = self.gain[rows], self.weights[rows], np.square(self.spread[rows])
        # What each perturbation did to the neighbours; those that do not exist have weight and spread 0.
        local = steps[self.indices[rows]]
        missed = changes / np.where(gain != 0, gain, 1)[:, None] - np.matmul(weights[:, None], local)[:, 0]
        spread = variance[:, :, None] * local
        covariance = np.matmul(local.transpose(0, 2, 1), spread) + nugget * np.eye(steps.shape[1])
        found: Array = weights + np.matmul(spread, np.linalg.solve(covariance, missed[:, :, None]))[:, :, 0]
        return found
