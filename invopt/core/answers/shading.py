"""Shading: residuals with their sparse Jacobian by what shades."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor

from invopt.exceptions import WrongValueError

__all__ = ["Shading", "pack", "residuals_of", "unpack"]

# Numbers before the residuals of a packed one: m, n, and the count of entries.
_HEAD = 3


class Shading(NamedTuple):
    """Residuals and their Jacobian, from the same random numbers.

    Attributes
    ----------
    residuals : ndarray, shape (m,)
        The residuals.
    jacobian : csr_matrix, shape (m, n)
        Their Jacobian by all parameters; columns of parameters that do not shade are empty.
    """

    residuals: NDArray[np.float64]
    jacobian: csr_matrix


def pack(shading: Shading) -> Tensor:
    """Return residuals and Jacobian as one vector, as workers and journals hold them."""
    matrix = shading.jacobian
    head = np.array([*matrix.shape, matrix.nnz], dtype=np.float64)
    parts = (head, shading.residuals, matrix.indptr, matrix.indices, matrix.data)
    return torch.from_numpy(np.concatenate([np.asarray(part, dtype=np.float64) for part in parts]))


def unpack(vector: Tensor) -> Shading:
    """Return residuals and Jacobian of a packed vector.

    Raises
    ------
    WrongValueError
        If it is not packed.
    """
    values = vector.numpy()
    m, n, count = values[:_HEAD].astype(np.int64).tolist() if values.size >= _HEAD else (-1, 0, 0)
    ends = np.cumsum([_HEAD, m, m + 1, count, count]).tolist()
    if min(m, n, count) < 0 or ends[-1] != values.size:
        raise WrongValueError(f"'shading' must be packed residuals and a Jacobian, got {values.size} numbers")
    residuals, starts, columns, data = (values[a:b] for a, b in itertools.pairwise(ends))
    matrix = csr_matrix((data, columns.astype(np.int64), starts.astype(np.int64)), shape=(m, n))
    return Shading(residuals, matrix)


def residuals_of(vectors: Tensor) -> Tensor:
    """Residuals of packed vectors of shape (k, l), shape (k, m)."""
    return vectors[:, _HEAD : _HEAD + int(vectors[0, 0])]
