"""Prior of parameters that shade: close to the start, and alike in a grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags_array, identity

from invopt.core.parameters.grid import Grid

__all__ = ["Prior", "prior_of"]

Array = NDArray[np.float64]

# Standard deviations of a parameter from its start, and of the difference of neighbours in a grid, in units of
# `x_scale`. The scale of a texel in [0, 1] is an eighth: .25 and .06.
_KNOWN, _ROUGH = 2.0, 0.5


@frozen(eq=False)
class Prior:
    """Gaussian prior inside of bounds, in units of `x_scale`.

    Attributes
    ----------
    start : ndarray, shape (n,)
        Its mean.
    precision : csr_matrix, shape (n, n)
        Inverse of its covariance.
    low, high : ndarray, shape (n,)
        Bounds.
    """

    start: Array
    precision: csr_matrix
    low: Array
    high: Array


def prior_of(start: Array, low: Array, high: Array, grids: Sequence[Grid], numbers: NDArray[np.int64]) -> Prior:
    """Return the prior of some parameters of a problem.

    Parameters
    ----------
    start, low, high : ndarray, shape (n,)
        Start and bounds of these parameters, in units of `x_scale`.
    grids : sequence of Grid
        Grids of the problem; those whose parameters are all among these count.
    numbers : ndarray of int, shape (n,)
        Numbers of these parameters in the problem's x.
    """
    n = start.size
    precision = identity(n, format="csr") / _KNOWN**2
    place = {number: i for i, number in enumerate(numbers.tolist())}
    for grid in grids:
        if not set(grid.indices.ravel().tolist()) <= place.keys():
            continue
        own = np.vectorize(place.__getitem__)(grid.indices)
        pairs = [(own[1:], own[:-1]), (own[:, 1:], own[:, :-1])]
        if grid.periodic and own.shape[1] > 1:
            pairs.append((own[:, :1], own[:, -1:]))
        for one, other in pairs:
            if one.size:
                precision = precision + _alike(one.ravel(), other.ravel(), n)
    return Prior(start, csr_matrix(precision), low, high)


def _alike(one: NDArray[np.int64], other: NDArray[np.int64], n: int) -> csr_matrix:
    """Precision of the differences of pairs."""
    rows = np.arange(one.size)
    difference = csr_matrix((np.ones(one.size), (rows, one)), (one.size, n))
    difference = difference - csr_matrix((np.ones(one.size), (rows, other)), (one.size, n))
    return csr_matrix(difference.T @ diags_array(np.full(one.size, _ROUGH**-2.0)) @ difference)
