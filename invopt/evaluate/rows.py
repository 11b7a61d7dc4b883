"""Rows of points and of values: whether they fit, and how a message shows them."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from invopt.exceptions import WrongValueError

__all__ = ["brief", "check_shape"]


def check_shape(values: Tensor, rows: Tensor, ndim: int) -> None:
    """Refuse values that are not one, or one vector, for each row."""
    if values.ndim != ndim or values.shape[0] != rows.shape[0]:
        raise WrongValueError(
            f"the objective must return {'(k, m)' if ndim == 2 else '(k,)'} values for points of shape "
            f"{tuple(rows.shape)}, got shape {tuple(values.shape)}"
        )


def brief(rows: Tensor) -> str:
    """Points as a message shows them."""
    return np.array2string(rows.detach().cpu().numpy(), precision=6, threshold=16)
