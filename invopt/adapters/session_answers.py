"""Check answers that a session is told before they are used."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from invopt.core.formatting import digits
from invopt.core.validators import has_masked, plain

__all__ = ["as_answer", "as_answers"]

Array = NDArray[np.float64]


def as_answer(name: str, value: Any, *, residuals: bool, m: int | None) -> Array | None:
    """Return one answer as an array of shape () or (m,).

    None if the evaluation failed.

    Parameters
    ----------
    name : str
        Its name in messages.
    value : float, array_like or None
        A number or the residuals; None or nan if the evaluation failed.
    residuals : bool
        Whether residuals were asked for.
    m : int or None
        Number of residuals, once known.
    """
    if value is None:
        return None
    array = _as_array(name, value)
    if array.size == 1 and not residuals:
        array = array.reshape(())
    wanted: tuple[int, ...] = (array.size if m is None else m,) if residuals else ()
    if residuals and array.size == 1 and np.isnan(array).all():
        return None
    if array.shape != wanted or array.size == 0:
        what = f"residuals of shape ({'m' if m is None else m},)" if residuals else "one number"
        raise ValueError(f"'{name}' must be {what}, got shape {array.shape}{_hint(array, residuals)}")
    return None if not residuals and np.isnan(array).all() else array


def as_answers(values: Any, k: int, *, residuals: bool, m: int | None) -> list[Array | None]:
    """Return answers for `k` points as a list of arrays; None for a failed evaluation."""
    if isinstance(values, np.ma.MaskedArray) and has_masked(values):
        raise ValueError("'values' must have no masked elements: None or nan stands for a failed evaluation")
    rows = list(values) if isinstance(values, list | tuple) else _as_rows(values, k, residuals, m)
    if len(rows) != k:
        raise ValueError(f"'values' must have {_shape(k, residuals, m)}, got {len(rows)} answers")
    found: list[Array | None] = []
    for i, row in enumerate(rows):
        answer = as_answer(f"values[{i}]", row, residuals=residuals, m=m)
        if residuals and answer is not None:
            m = answer.size
        found.append(answer)
    return found


def _as_rows(values: Any, k: int, residuals: bool, m: int | None) -> list[Any]:
    array = _as_array("values", values)
    if array.ndim != 1 + residuals or len(array) != k:
        raise ValueError(
            f"'values' must have {_shape(k, residuals, m)}, got shape {array.shape}{_hint(array, residuals, 1)}"
        )
    return list(array)


def _shape(k: int, residuals: bool, m: int | None) -> str:
    return f"shape ({k}, {'m' if m is None else m})" if residuals else f"shape ({k},)"


def _hint(array: Array, residuals: bool, rows: int = 0) -> str:
    if residuals and array.ndim == rows:
        return "; `request.kind` is 'residuals': tell the residuals, not their mean square"
    if not residuals and array.ndim == rows + 1:
        return "; `request.kind` is 'fun': tell one value for each point; for residuals give the problem residuals=True"
    return ""


def _as_array(name: str, value: Any) -> Array:
    if has_masked(value):
        raise ValueError(f"'{name}' must have no masked elements: None or nan stands for a failed evaluation")
    try:
        raw = np.asarray(plain(value))
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"'{name}' must be real numbers, got {type(value).__name__}: {error}") from None
    if raw.dtype == object and isinstance(value, int):
        raise ValueError(f"'{name}' must be finite: an integer of {digits(value)} digits")
    if raw.dtype.kind not in "biuf":
        raise TypeError(f"'{name}' must be real numbers, got {type(value).__name__} of dtype {raw.dtype}")
    with np.errstate(over="ignore"):
        # A number too large for a float becomes inf.
        return raw.astype(np.float64)
