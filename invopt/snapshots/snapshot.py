"""Snapshot: state of a run between two iterations.

Points in the form in which they are kept.
"""

from __future__ import annotations

from typing import Any

import torch
from attrs import frozen
from torch import Tensor

from invopt.core.estimator import Estimate, Point

__all__ = ["Snapshot", "reduced", "restored"]

# Fields of an estimate that are kept as they are, and those that are tensors.
_COPIED = ("fun", "fun_standard_error", "nfev", "sigma", "spread", "note", "partial")
_TENSORS = ("jac", "standard_error", "x_standard_error")


@frozen(kw_only=True, eq=False)
class Snapshot:
    """State of a run between two iterations.

    Parameters
    ----------
    x : Tensor, shape (n,)
        Point of the next iteration, in units of `x_scale`.
    memory, state : object
        States of the estimator and the method.
    rng : dict
        State of the random generator.
    record : dict
        Counts, history and the points that the result and the tolerances need.
    """

    x: Tensor
    memory: Any
    state: Any
    rng: dict[str, Any]
    record: dict[str, Any]


def reduced(point: Point, *, whole: bool) -> dict[str, Any]:
    """Parts of a point that the result and the tolerances need.

    Without tensors unless `whole`.
    """
    estimate = point.estimate
    kept = {name: getattr(estimate, name) for name in _COPIED}
    tensors = {"x": point.x} | {name: getattr(estimate, name) for name in _TENSORS}
    kept["unit"] = estimate.unit() if whole and estimate.unit is not None else None
    return kept | {name: tensor if whole else None for name, tensor in tensors.items()}


def restored(kept: dict[str, Any]) -> Point:
    """The point, with the parts that were kept."""
    x, unit = kept["x"] if kept["x"] is not None else torch.empty(0), kept["unit"]
    return Point(x, Estimate(**(kept | {"x": x, "unit": None if unit is None else lambda: unit})))
