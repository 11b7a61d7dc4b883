"""Standard errors of parameters from residuals that were evaluated several times."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.sparse import csr_matrix, diags_array
from scipy.sparse.csgraph import connected_components

__all__ = ["repeated_errors"]

Array = NDArray[np.float64]

# Most parameters that depend on each other, because their covariance is a dense matrix: 34 MB.
_MAX_DENSE = 2048


def repeated_errors(jacobian: csr_matrix, fitted: Array, carried: Array, factors: Array) -> Array | None:
    r"""Standard errors of the minimiser of a sum of squares, shape (n,).

    The variances :math:`v_i` of the residuals' noise are those between evaluations. For independent residuals they give
    the minimiser's variances :math:`q`, the diagonal of :math:`H^{-1} J^T V J H^{-1}` with :math:`H = J^T J`. Residuals
    may share noise, such as the channels of a grey picture; the mean ratio c of the minimiser's variance between
    evaluations to q tells how much. The target has noise too, which does not differ between evaluations, but is part of
    the residuals r at the minimum. With :math:`s^2 = |r|^2 / (m - c n)`, the squared errors are :math:`c s^2 q / \bar
    v`.

    Parameters
    ----------
    jacobian : csr_matrix, shape (m, n)
        Jacobian.
    fitted : ndarray, shape (m,)
        Residuals at the minimum.
    carried : ndarray, shape (k, m)
        Residuals of k evaluations there.
    factors : ndarray, shape (k,)
        Samples of each.

    Returns
    -------
    ndarray or None
        None if parameters are undetermined, if too many depend on each other, or if residuals are too few or without
        noise.
    """
    (m, n), k = jacobian.shape, len(carried)
    if k < 2:
        return None
    deviations = (carried - np.average(carried, axis=0, weights=factors)) * np.sqrt(factors / (k - 1))[:, None]
    variances = np.square(deviations).sum(0)
    hess, scatter = (jacobian.T @ jacobian).tocsr(), (jacobian.T @ diags_array(variances) @ jacobian).tocsr()
    slopes = jacobian.T @ deviations.T
    independent, between = np.empty(n), np.empty(n)
    count, labels = connected_components(hess, directed=False)
    order = np.argsort(labels, kind="stable")
    for own in np.split(order, np.cumsum(np.bincount(labels, minlength=count))[:-1]):
        if len(own) > _MAX_DENSE:
            return None
        try:
            factor = cho_factor(hess[own][:, own].toarray())
        except LinAlgError:
            return None
        half = cho_solve(factor, scatter[own][:, own].toarray())
        independent[own] = cho_solve(factor, half.T).diagonal()
        between[own] = np.square(cho_solve(factor, slopes[own])).sum(1)
    if not independent.sum() > 0:
        return None
    shared = float(between.sum() / independent.sum())
    left = m - shared * n
    if not left > 0:
        return None
    total = float(np.square(fitted).sum()) / left
    found: Array = np.sqrt(shared * total / variances.mean() * independent)
    return found
