"""Answers as tables: Markdown, JSON, CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence

import numpy as np
from attrs import asdict, frozen
from numpy.typing import NDArray
from scipy.optimize import Bounds

from invopt.plugin import require

__all__ = ["KINDS", "Row", "rows_of", "written"]

KINDS = ("markdown", "json", "csv")
_COLUMNS = ("name", "value", "standard_error", "note")
# Share of a parameter's scale within which it is said to be at its bound.
_AT_BOUND = 1e-6


@frozen
class Row:
    """A number of an answer.

    Attributes
    ----------
    name : str
    value : float
    standard_error : float or None
        None if it is not known.
    note : str
        Whether it is fixed or at a bound.
    """

    name: str
    value: float
    standard_error: float | None = None
    note: str = ""


def rows_of(
    names: Sequence[str],
    values: NDArray[np.float64],
    spread: NDArray[np.float64] | None,
    x: NDArray[np.float64],
    bounds: Bounds | None,
    scale: NDArray[np.float64],
) -> list[Row]:
    """Return one row for each column.

    Parameters
    ----------
    names : sequence of str
        Names of the columns.
    values : ndarray, shape (n,)
        Their values in scene units.
    spread : ndarray, shape (n,), or None
        Standard errors in scene units; None if they are not known.
    x : ndarray, shape (n,)
        The answer.
    bounds : Bounds or None
        Bounds of the columns.
    scale : ndarray, shape (n,)
        Scales of the columns.
    """
    found = []
    for i, name in enumerate(names):
        error = None if spread is None or not math.isfinite(spread[i]) else float(spread[i])
        found.append(Row(name, float(values[i]), error, _note(x[i], bounds, i, float(scale[i]))))
    return found


def _note(value: float, bounds: Bounds | None, i: int, scale: float) -> str:
    if bounds is None:
        return ""
    low, high = (np.broadcast_to(side, (i + 1,) if np.ndim(side) == 0 else np.shape(side)) for side in _sides(bounds))
    if low[i] == high[i]:
        return "fixed"
    near = min(abs(value - low[i]), abs(value - high[i])) <= _AT_BOUND * scale
    return "at its bound" if near else ""


def _sides(bounds: Bounds) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.asarray(bounds.lb, dtype=np.float64), np.asarray(bounds.ub, dtype=np.float64)


def written(rows: Sequence[Row], kind: str) -> str:
    """Return a table as text."""
    require("kind", kind in KINDS, f"one of {', '.join(KINDS)}", kind)
    if kind == "json":
        return json.dumps([asdict(row) for row in rows], indent=2)
    if kind == "csv":
        file = io.StringIO()
        writer = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
        return file.getvalue()
    lines = ["| parameter | value | standard error | |", "| --- | ---: | ---: | --- |"]
    for row in rows:
        error = "" if row.standard_error is None else f"{row.standard_error:.2g}"
        lines.append(f"| {row.name} | {row.value:.5g} | {error} | {row.note} |")
    return "\n".join(lines) + "\n"
