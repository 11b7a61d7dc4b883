"""Gaussian: a normal prior of the parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular
from scipy.sparse import csr_matrix

from invopt.core.quadratic.linear_rows import LinearRows
from invopt.core.validators import as_vector, require

__all__ = ["Gaussian"]

Array = NDArray[np.float64]

# Relative asymmetry up to which a covariance counts as symmetric: rounding of float64.
_ROUNDING = 1e-10


def _as_mean(value: ArrayLike) -> Array:
    return as_vector("mean", value, scalar=True)


def _as_std(value: ArrayLike | None) -> Array | None:
    if value is None:
        return None
    std = as_vector("std", value, scalar=True, finite=False)
    require("std", bool((std > 0).all()), "> 0; inf where nothing is known", value)
    return std


def _as_covariance(value: ArrayLike | None) -> Array | None:
    if value is None:
        return None
    matrix = np.array(value, dtype=np.float64)
    square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] > 0 and bool(np.isfinite(matrix).all())
    require("covariance", square, "a finite matrix of shape (n, n)", value)
    symmetric = float(np.abs(matrix - matrix.T).max()) <= _ROUNDING * float(np.abs(matrix).max())
    positive = symmetric and float(np.linalg.eigvalsh(matrix).min()) > 0
    require("covariance", positive, "symmetric and positive definite", value)
    return matrix


@frozen(eq=False)
class Gaussian:
    r"""Normal prior of the parameters, in the problem's own units.

    Parameters
    ----------
    mean : array_like, shape (n,), or float
        Mean; one number is for all parameters. Modulo the period of a parameter that has one.
    std : array_like, shape (n,), or float, optional
        Standard deviation of each parameter, > 0; inf where nothing is known.
    covariance : array_like, shape (n, n), optional
        Covariance instead of `std`; symmetric and positive definite.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind, shape or range, or not exactly one of `std` and `covariance` is given.

    Examples
    --------
    A value that is a negative log-likelihood, and a prior of the same weight:

    >>> import invopt
    >>> prior = invopt.Gaussian([0.0, 1.0], std=1.0)
    >>> res = invopt.minimize(lambda x: 0.5 * ((x - 2) ** 2).sum(), x0=[0.0, 0.0], prior=prior, rng=0)
    >>> [round(float(value), 4) for value in res.x]
    [1.0, 1.5]
    """

    mean: Array = field(converter=_as_mean)
    std: Array | None = field(default=None, converter=_as_std)
    covariance: Array | None = field(default=None, converter=_as_covariance, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if (self.std is None) == (self.covariance is None):
            raise ValueError("give 'std' or 'covariance' of a prior, and not both")
        sizes = {array.shape[0] for array in (self.mean, self.std, self.covariance) if array is not None}
        if len(sizes - {1}) > 1 or (self.covariance is not None and self.mean.size not in (1, len(self.covariance))):
            shapes = [None if array is None else array.shape for array in (self.mean, self.std, self.covariance)]
            raise ValueError(f"'mean', 'std' and 'covariance' must be of one n, got the shapes {shapes}")

    def rows(self, n: int) -> LinearRows:
        """Return the prior as independent standard normal functions of n parameters."""
        for name, array in (("mean", self.mean), ("std", self.std)):
            fits = array is None or array.size in (1, n)
            require(name, fits, f"one number, or n = {n} numbers", None if array is None else array.tolist())
        mean = np.broadcast_to(self.mean, n)
        if self.covariance is not None:
            require("covariance", len(self.covariance) == n, f"of shape ({n}, {n})", self.covariance.shape)
            root = solve_triangular(np.linalg.cholesky(self.covariance), np.eye(n), lower=True)
            return LinearRows(matrix=csr_matrix(root), offsets=root @ mean)
        std = np.broadcast_to(np.asarray(self.std), n)
        known = np.flatnonzero(np.isfinite(std))
        matrix = csr_matrix((1 / std[known], (np.arange(len(known)), known)), shape=(len(known), n))
        return LinearRows(matrix=matrix, offsets=mean[known] / std[known])


def as_pair(value: Any) -> Gaussian:
    """Return a Gaussian from the pair (mean, std)."""
    if len(value) != 2:
        raise ValueError(f"'prior' must be a pair (mean, std), a Gaussian or a log density: {value!r}")
    return Gaussian(*value)
