"""Sparse Jacobian from few joint perturbations, by orthogonal matching pursuit."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor

__all__ = ["explained", "identify"]

Array = NDArray[np.float64]

# Residuals treated at once, which limits memory: their correlations with 10,000 parameters take 40 MB.
_ROWS_AT_ONCE = 1024
# Ridge relative to the trace of the Gram matrix, so that equal perturbations can be fitted; its bias is 1e-9 of a
# coefficient.
_RIDGE = 1e-9


def identify(perturbations: Array, changes: Array, neighbours: int) -> csr_matrix:
    r"""Estimate a Jacobian of shape (m, n) with at most `neighbours` entries a row.

    Each residual is assumed to depend on few parameters. They are found greedily: the parameter whose perturbations
    correlate best with the unexplained changes is added, and all coefficients are fitted again [1]_.

    Parameters
    ----------
    perturbations : ndarray, shape (k, n)
        Perturbations of the parameters.
    changes : ndarray, shape (k, m)
        Resulting changes of the residuals.
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
    for start in range(0, m, _ROWS_AT_ONCE):
        rows = slice(start, min(start + _ROWS_AT_ONCE, m))
        found = _pursue(torch.from_numpy(perturbations), torch.from_numpy(changes[:, rows]), entries)
        columns[rows], values[rows] = (each.numpy() for each in found)
    return csr_matrix((values.ravel(), (np.repeat(np.arange(m), entries), columns.ravel())), shape=(m, n))


def _pursue(perturbations: Tensor, changes: Tensor, entries: int) -> tuple[Tensor, Tensor]:
    """Supports and coefficients of some residuals, shapes (m, entries)."""
    targets = changes.T.contiguous()
    support = torch.empty((len(targets), 0), dtype=torch.int64)
    unexplained, rows = targets, perturbations.T.contiguous()
    # Single precision suffices for comparing correlations.
    single = perturbations.float()
    for _ in range(entries):
        fitness = (unexplained.float() @ single).abs_().scatter_(1, support, -1.0)
        # argmax over rows is ten times faster in numpy than in torch.
        best = torch.from_numpy(fitness.numpy().argmax(1, keepdims=True))
        support = torch.cat([support, best], 1)
        chosen = rows[support]
        gram = chosen @ chosen.mT
        size = gram.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
        # Far from 0, perturbations may be lost in rounding.
        ridge = torch.where(size > 0, _RIDGE * size, 1.0) * torch.eye(gram.shape[1])
        coefficients = torch.linalg.solve(gram + ridge, chosen @ targets[..., None])
        unexplained = targets - (chosen.mT @ coefficients)[..., 0]
    return support, coefficients[..., 0]


def explained(jacobian: csr_matrix, perturbations: Array, changes: Array) -> float:
    """Share of the squared changes that the Jacobian predicts.

    1 if all, 0 or less if none.
    """
    total = float(np.square(changes).sum())
    if total == 0.0:
        return 0.0
    missed = changes - (jacobian @ perturbations.T).T
    return 1.0 - float(np.square(missed).sum()) / total
