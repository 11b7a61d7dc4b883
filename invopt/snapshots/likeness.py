"""Checks that a snapshot has the structure of a run's state."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from torch import Tensor

from invopt.core.result import History
from invopt.exceptions import CheckpointError
from invopt.snapshots.snapshot import Snapshot

__all__ = ["check_like"]

_NUMBER_NAMES = ("step", "seconds")
_COUNT_NAMES = ("flat", "spent")
_POINT_NAMES = ("highest", "last", "best")
# Entries of a point that are numbers, and those that are tensors or None.
_POINT_NUMBERS = ("fun", "fun_standard_error", "sigma", "spread")
_POINT_TENSORS = ("x", "jac", "standard_error", "x_standard_error")


def check_like(snapshot: Snapshot, x: Tensor, memory: Any, state: Any, counts: dict[str, Any]) -> None:
    """Refuse a snapshot whose structure differs from that of this run's state."""
    record = snapshot.record
    wanted = {*_NUMBER_NAMES, *_COUNT_NAMES, *_POINT_NAMES, "estimate", "counts", "history"}
    _require(isinstance(record, dict) and record.keys() == wanted, "record")
    _require(_alike(x, snapshot.x), "x")
    _require(isinstance(snapshot.rng, dict), "rng")
    for name, fresh, found in (("memory", memory, snapshot.memory), ("state", state, snapshot.state)):
        _require(_alike(fresh, found), name)
    for name in _NUMBER_NAMES:
        _require(_is_number(record[name]), name)
    for name in _COUNT_NAMES:
        _require(_is_count(record[name]), name)
    found = record["counts"]
    same = isinstance(found, dict) and found.keys() == counts.keys()
    _require(same and all(_alike(counts[key], value) for key, value in found.items()), "counts")
    _check_history(record["history"])
    for name in (*_POINT_NAMES, "estimate"):
        _require((name == "estimate" and record[name] is None) or _is_point(record[name], x), name)


def _require(condition: bool, name: str) -> None:
    if not condition:
        raise CheckpointError(f"its {name!r} does not belong to this run")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _check_history(history: Any) -> None:
    columns = isinstance(history, dict) and history.keys() == set(History.columns)
    _require(columns and all(isinstance(column, np.ndarray) for column in history.values()), "history")
    shapes = [column.shape for column in history.values()]
    _require(all(len(shape) in (1, 2) and shape[0] == shapes[0][0] for shape in shapes), "history")
    numbers = all(column.ndim == 1 for name, column in history.items() if name not in ("x", "standard_error"))
    _require(numbers and all(column.dtype == np.float64 for column in history.values()), "history")


def _is_point(kept: Any, x: Tensor) -> bool:
    if not isinstance(kept, dict) or not all(
        name in kept for name in (*_POINT_NUMBERS, *_POINT_TENSORS, "nfev", "unit")
    ):
        return False
    tensors = [kept[name] for name in _POINT_TENSORS]
    fits = all(tensor is None or (isinstance(tensor, Tensor) and tensor.shape == x.shape) for tensor in tensors)
    if kept["unit"] is not None and not _is_number(kept["unit"]):
        return False
    plain = isinstance(kept.get("note"), str) and isinstance(kept.get("partial"), bool)
    return fits and plain and _is_count(kept["nfev"]) and all(_is_number(kept[name]) for name in _POINT_NUMBERS)


def _alike(fresh: Any, found: Any) -> bool:
    """Whether a value has the structure of a new one.

    If either is None, any is accepted.
    """
    if fresh is None or found is None:
        return True
    if isinstance(fresh, Tensor):
        return isinstance(found, Tensor) and fresh.dtype == found.dtype and _same_shape(fresh, found)
    if isinstance(fresh, bool):
        return isinstance(found, bool)
    if isinstance(fresh, int | float):
        return _is_number(found) and (isinstance(fresh, float) or _is_count(found))
    if type(found) is not type(fresh):
        return False
    if attrs.has(type(fresh)):
        names = [item.name for item in attrs.fields(type(fresh))]
        return all(_alike(getattr(fresh, name), getattr(found, name)) for name in names)
    if isinstance(fresh, tuple):
        return len(fresh) in (0, len(found)) and all(map(_alike, fresh, found))
    return True


def _same_shape(fresh: Tensor, found: Tensor) -> bool:
    """Whether shapes are equal.

    Rows may have been added to a tensor that is empty at the start.
    """
    return fresh.ndim == found.ndim and (fresh.shape == found.shape or (fresh.ndim > 0 and fresh.shape[0] == 0))
