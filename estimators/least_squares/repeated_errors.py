"""Standard errors of parameters from residuals that were evaluated several times."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular
from scipy.sparse import csr_matrix, diags_array
from scipy.sparse.csgraph import connected_components

__all__ = ["known_errors", "likely_step", "repeated_errors"]

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
        Infinite for parameters that no residual depends on. None if others are undetermined, if too many depend on each
        other, or if residuals are too few or without noise.
    """
    (m, n), k = jacobian.shape, len(carried)
    factorized = _factorized(jacobian)
    if k < 2 or factorized is None:
        return None
    deviations = (carried - np.average(carried, axis=0, weights=factors)) * np.sqrt(factors / (k - 1))[:, None]
    variances = np.square(deviations).sum(0)
    scatter = (jacobian.T @ diags_array(variances) @ jacobian).tocsr()
    slopes = jacobian.T @ deviations.T
    independent, between = np.full(n, np.inf), np.zeros(n)
    for own, factor in factorized:
        inverse = cho_solve((factor, True), np.eye(len(own)))
        independent[own] = np.sum(scatter[own][:, own] @ inverse * inverse, axis=0)
        between[own] = np.square(inverse @ slopes[own]).sum(1)
    seen = np.isfinite(independent)
    if not independent[seen].sum() > 0:
        return None
    shared = float(between.sum() / independent[seen].sum())
    left = m - shared * seen.sum()
    if not left > 0:
        return None
    total = float(np.square(fitted).sum()) / left
    found: Array = np.sqrt(shared * total / variances.mean() * independent)
    return found


def known_errors(jacobian: csr_matrix, variance: float, carried: Array, factors: Array) -> Array | None:
    """Standard errors of the minimiser, shape (n,), by known noise and a prior.

    Parameters
    ----------
    jacobian : csr_matrix, shape (m, n)
        Jacobian, with the rows of the prior.
    variance : float
        Variance of the target's noise in each residual.
    carried, factors : ndarray
        As in `repeated_errors`. The noise of their mean is added.

    Returns
    -------
    ndarray or None
        Infinite for parameters that no residual depends on. None if others are undetermined, or if too many depend on
        each other.
    """
    factorized = _factorized(jacobian)
    if factorized is None:
        return None
    found = np.full(jacobian.shape[1], np.inf)
    if len(carried) > 1:
        deviations = (carried - np.average(carried, axis=0, weights=factors)) * np.sqrt(factors)[:, None]
        variance += float(np.square(deviations).sum(0).mean()) / (len(carried) - 1) / float(factors.sum())
    for own, factor in factorized:
        inverse = cho_solve((factor, True), np.eye(len(own)))
        found[own] = np.sqrt(variance * inverse.diagonal())
    return found


def likely_step(jacobian: csr_matrix, rng: np.random.Generator) -> Array | None:
    """Random step, the largest entry 1, with a covariance like that of the minimiser.

    The covariance is proportional to the inverse of J'J. All directions, the badly determined ones too, then contribute
    equally to the change that the Jacobian predicts. None if parameters are undetermined, or too many depend on each
    other.
    """
    factorized = _factorized(jacobian)
    if not factorized:
        return None
    step = np.zeros(jacobian.shape[1])
    for own, factor in factorized:
        step[own] = solve_triangular(factor, rng.standard_normal(len(own)), lower=True, trans="T")
    found: Array = step / np.abs(step).max()
    return found


def _factorized(jacobian: csr_matrix) -> list[tuple[NDArray[np.int64], Array]] | None:
    """Groups of parameters that depend on each other, with Cholesky factors of J'J.

    Parameters that nothing depends on are left out. None if J'J has no factor, or a group is too large.
    """
    hess = (jacobian.T @ jacobian).tocsr()
    count, labels = connected_components(hess, directed=False)
    order = np.argsort(labels, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(labels, minlength=count))[:-1])
    seen = hess.diagonal() > 0
    found = []
    for own in groups:
        if len(own) > _MAX_DENSE:
            return None
        if seen[own].any():
            try:
                found.append((own, cholesky(hess[own][:, own].toarray(), lower=True)))
            except LinAlgError:
                return None
    return found
