"""Points as rows: a check that values fit them, and their text in a message."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from invopt.exceptions import WrongValueError

__all__ = ["brief", "check_shape"]

# So that a message stays on a few lines: digits of a number, and numbers above which the middle is left out.
_DIGITS, _NUMBERS_SHOWN = 6, 16


def check_shape(values: Tensor, rows: Tensor, ndim: int) -> None:
    """Refuse values unless there is one for each row.

    Each is a number (`ndim` 1) or a vector (`ndim` 2).
    """
    if values.ndim != ndim or values.shape[0] != rows.shape[0]:
        raise WrongValueError(
            f"the objective must return {'(k, m)' if ndim == 2 else '(k,)'} values for points of shape "
            f"{tuple(rows.shape)}, got shape {tuple(values.shape)}"
        )


def brief(rows: Tensor) -> str:
    """Text of points for a message; long rows are shortened."""
    return np.array2string(rows.detach().cpu().numpy(), precision=_DIGITS, threshold=_NUMBERS_SHOWN)
