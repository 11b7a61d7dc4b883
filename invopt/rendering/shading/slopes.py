"""Derivatives of scene values by the columns of a binding."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from invopt.rendering.bindings.binding import Own, ValueBinding

__all__ = ["slopes_of"]


def slopes_of(binding: ValueBinding, x: Tensor, own: Own) -> dict[str, csr_matrix]:
    """Derivative of each value that a binding sets, shape (values, columns), by key.

    Parameters
    ----------
    binding : ValueBinding
        The binding.
    x : Tensor, shape (columns,)
        Its columns.
    own : callable
        As for `ValueBinding.values`.
    """
    if binding.copies:
        # Each value is one of the columns: their numbers say which.
        numbers = binding.all_values(torch.arange(len(x), dtype=torch.float64), own)
        found = {key: value.reshape(-1).numpy().astype(np.int64) for key, value in numbers.items()}
        return {
            key: csr_matrix((np.ones(len(at)), (np.arange(len(at)), at)), shape=(len(at), len(x)))
            for key, at in found.items()
        }
    names = list(binding.all_values(x, own))

    def flat(columns: Tensor) -> tuple[Tensor, ...]:
        values = binding.all_values(columns, own)
        return tuple(values[name].reshape(-1) for name in names)

    dense = torch.autograd.functional.jacobian(flat, x)  # type: ignore[no-untyped-call]
    return {name: csr_matrix(each.numpy()) for name, each in zip(names, dense, strict=True)}
