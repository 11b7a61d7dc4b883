"""Inputs of a network with their targets and, if known, the true outputs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import numpy as np
import torch
from attrs import frozen
from numpy.typing import NDArray
from torch import Tensor

from invopt.plugin import as_list, has_masked, plain, shown

__all__ = ["Dataset"]


@frozen(kw_only=True, eq=False)
class Dataset:
    """Inputs of a network with their targets.

    Parameters
    ----------
    inputs : Tensor, shape (k, ...)
        Inputs.
    targets : ndarray, shape (k, ...)
        Target of each input for the inner problem.
    truth : ndarray, shape (k, n), or None
        True parameters of the inner problem, for reports only.
    """

    inputs: Tensor
    targets: NDArray[Any]
    truth: NDArray[np.float64] | None

    def __len__(self) -> int:
        return len(self.inputs)

    @classmethod
    def read(cls, name: str, data: Iterable[Any], targets: Iterable[Any] | None = None) -> Self:
        """Make a dataset from an iterable of inputs, or of pairs (input, truth)."""
        try:
            found = as_list(name, data)
        except TypeError:
            raise TypeError(
                f"'{name}' must be an iterable of inputs, or of pairs (input, truth): {shown(data)}"
            ) from None
        if not found:
            raise ValueError(f"'{name}' must have at least one input: it is empty")
        paired = [isinstance(item, tuple) and len(item) == 2 for item in found]
        if any(paired) and not all(paired):
            raise ValueError(f"'{name}' must be inputs throughout, or pairs (input, truth) throughout")
        inputs = _stacked(name, [item[0] if paired[0] else item for item in found])
        truth = _stacked(f"{name} (truth)", [np.atleast_1d(item[1]) for item in found]) if paired[0] else None
        compared = inputs if targets is None else _stacked("targets", as_list("targets", targets))
        if len(compared) != len(inputs):
            what = "targets" if name == "data" else f"{name}_targets"
            raise ValueError(f"'{what}' must be {len(inputs)}, one for each input: {len(compared)}")
        return cls(
            inputs=torch.from_numpy(inputs), targets=compared, truth=None if truth is None else truth.astype(np.float64)
        )


def _stacked(name: str, values: list[Any]) -> NDArray[Any]:
    if has_masked(values):
        raise ValueError(f"'{name}' must have no masked elements: fill them, or leave the items out")
    try:
        array = np.stack([np.asarray(plain(value)) for value in values])
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"'{name}' must be arrays of one shape: {error}") from None
    if array.dtype.kind not in "iufb":
        raise TypeError(f"'{name}' must be arrays of real numbers, got dtype {array.dtype}")
    if not np.isfinite(array).all():
        bad = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(1))
        raise ValueError(f"'{name}' must be finite: number {bad[0]} is not")
    return array
