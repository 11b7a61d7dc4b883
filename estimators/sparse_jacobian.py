"""A sparse Jacobian from few joint perturbations: correlation and orthogonal matching pursuit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

__all__ = ["explained", "identify"]

Array = NDArray[np.float64]

# Residuals worked on at once, to bound the memory for their correlations with all parameters.
_BLOCK = 1024


def identify(perturbations: Array, changes: Array, neighbours: int) -> csr_matrix:
    r"""Jacobian of shape (m, n) with at most `neighbours` entries a row.

    Each residual is taken to depend on few parameters. Which ones is found greedily: the parameter whose perturbations
    correlate best with what is not yet explained joins, and all coefficients are fitted anew [1]_.

    Parameters
    ----------
    perturbations : ndarray, shape (k, n)
        What was added to the parameters.
    changes : ndarray, shape (k, m)
        How the residuals changed.
    neighbours : int
        Entries a row, at most k - 1.

    References
    ----------
    .. [1] Tropp, Gilbert, "Signal Recovery From Random Measurements Via Orthogonal Matching Pursuit", IEEE Trans. Inf.
       Theory 53(12), 2007.
    """
    m, n = changes.shape[1], perturbations.shape[1]
    entries = min(neighbours, n)
    columns, values = np.empty((m, entries), dtype=np.intp), np.empty((m, entries))
    for start in range(0, m, _BLOCK):
        rows = slice(start, min(start + _BLOCK, m))
        columns[rows], values[rows] = _pursue(perturbations, changes[:, rows], entries)
    return csr_matrix((values.ravel(), (np.repeat(np.arange(m), entries), columns.ravel())), shape=(m, n))


def _pursue(perturbations: Array, changes: Array, entries: int) -> tuple[NDArray[np.intp], Array]:
    """Supports and coefficients of some residuals, shapes (m, entries)."""
    m = changes.shape[1]
    support = np.empty((m, 0), dtype=np.intp)
    unexplained = changes
    # Which correlates best is not decided in the eighth digit.
    single = perturbations.astype(np.float32)
    for _ in range(entries):
        fitness = np.ascontiguousarray(unexplained.T, dtype=np.float32) @ single
        np.abs(fitness, out=fitness)
        np.put_along_axis(fitness, support, -1.0, axis=1)
        support = np.hstack([support, fitness.argmax(axis=1)[:, None]])
        chosen = perturbations.T[support]
        gram = chosen @ chosen.transpose(0, 2, 1)
        ridge = 1e-9 * np.trace(gram, axis1=1, axis2=2)[:, None, None] * np.eye(gram.shape[1])
        moments = np.einsum("mek,km->me", chosen, changes)
        coefficients = np.linalg.solve(gram + ridge, moments[..., None])[..., 0]
        unexplained = changes - np.einsum("mek,me->km", chosen, coefficients)
    return support, coefficients


def explained(jacobian: csr_matrix, perturbations: Array, changes: Array) -> float:
    """Share of the squared changes that the Jacobian predicts; 1 if it predicts them all, 0 or less if none."""
    total = float(np.square(changes).sum())
    if total == 0.0:
        return 0.0
    missed = changes - (jacobian @ perturbations.T).T
    return 1.0 - float(np.square(missed).sum()) / total
