"""LowerBound: the next point is where a model's value may be lowest."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import torch
from attrs import evolve, field, frozen
from torch import Tensor

from invopt.plugin import Estimate, Incumbent, Optimizer, Oracle, Order, Status, ValueModel, integer, real, require

from ..descent.acquisition import lowest_in_box
from .space import Array

__all__ = ["LowerBound"]

# Factors of the radius after a step to the boundary that succeeded and after one that failed; share of it from which a
# step counts as one to the boundary; length of a step up to which a failure does not shrink it.
_WIDEN, _NARROWER, _TO_BOUNDARY, _BRIEF = 1.5, 0.5, 0.95, 0.05
# Distance to the nearest sample, and radius, at which a descent ends, in units of the model's unit.
_CLOSEST, _LEAST_RADIUS = 2e-3, 0.012
# Radius of the region in which the next descent begins, in these units, and its growth for each further one; random
# points that are compared.
_FIRST_REACH, _REACH_GROWTH, _COMPARED = 2.5, 1.15, 400
# Added to variances, which may be 0.
_LEAST_VARIANCE_OF_BOUND = 1e-12


@frozen(kw_only=True, eq=False)
class LowerBoundState:
    """Where a descent stands.

    Attributes
    ----------
    radius : float
        Half the width of the box, in units of the model's unit.
    first : int
        Number of the descent's first sample.
    reach : float
        Radius of the region in which the last descent has begun.
    tried : tuple of float, or None
        Length of the last step, and its largest component, in units of the radius.
    lowest : Incumbent or None
        Lowest sample when the last descent ended.
    idle : int
        Descents in a row that have ended without a lower value.
    verdict : Status
        FINISHED once descents find nothing lower.
    """

    radius: float
    first: int = 0
    reach: float = _FIRST_REACH
    tried: tuple[float, float] | None = None
    lowest: Incumbent | None = None
    idle: int = 0
    verdict: Status = Status.RUNNING


@frozen(kw_only=True)
class LowerBound(Optimizer):
    """Steps to where a model's mean minus its standard deviation is lowest.

    For estimators with a model of the value, `invopt.estimators.ValueKriging`. The next point is the lowest in a box
    around the best point of the descent, which grows with successful steps to its boundary and shrinks with failures. A
    descent that has ended is followed by another from the least explored point of a region that grows.

    Parameters
    ----------
    radius : float, default 2
        First half-width of the box, in units of the model's unit, > 0.
    max_radius : float, default 3
        Largest half-width, >= `radius`.
    patience : int, default 4
        Descents in a row that end without a lower value before the run ends, >= 1.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range.

    Examples
    --------
    >>> LowerBound()
    LowerBound(radius=2.0, max_radius=3.0, patience=4)
    """

    requires: ClassVar[Order] = Order.VALUE_MODEL
    noise_aware: ClassVar[bool] = True
    judges_steps: ClassVar[bool] = True

    radius: float = field(default=2.0, validator=real(above=0))
    max_radius: float = field(default=3.0, validator=real(above=0))
    patience: int = field(default=4, validator=integer(1))

    def __attrs_post_init__(self) -> None:
        least = f">= radius = {self.radius:g}"
        require("max_radius", self.max_radius >= self.radius, least, self.max_radius)

    def init(self, x0: Tensor) -> LowerBoundState:
        """State before the first step."""
        return LowerBoundState(radius=self.radius)

    def status(self, state: Any) -> Status:
        """FINISHED once descents find nothing lower."""
        verdict: Status = state.verdict
        return verdict

    def step(
        self, x: Tensor, estimate: Estimate, state: LowerBoundState, oracle: Oracle
    ) -> tuple[Tensor, LowerBoundState]:
        """Return the next point; it costs no evaluation."""
        model = estimate.value_model
        if model is None:
            raise TypeError("LowerBound needs an estimate with a model of the value, such as ValueKriging's")
        first = min(state.first, len(model.values) - 1)
        best = first + int(np.argmin(model.values[first:]))
        if state.tried is not None:
            state = evolve(state, radius=self._resized(model, state, best))
        centre, radius = model.points[best], state.radius * model.unit
        with np.errstate(all="ignore"):
            target = _lowest(model, centre, radius, oracle)
        away = float(model.distances(model.points, target).min()) / model.unit
        if away < _CLOSEST or state.radius < _LEAST_RADIUS:
            return self._restarted(model, state, oracle)
        step = (target - centre) / model.unit
        tried = float(np.linalg.norm(step)), float(np.abs(step).max() / state.radius)
        return torch.from_numpy(target), evolve(state, tried=tried)

    def _resized(self, model: ValueModel, state: LowerBoundState, best: int) -> float:
        """Radius after a step: it follows whether that gave the best sample."""
        assert state.tried is not None
        length, share = state.tried
        if best == len(model.values) - 1:
            return min(_WIDEN * state.radius, self.max_radius) if share > _TO_BOUNDARY else state.radius
        return max(_NARROWER * state.radius, 0.8 * _LEAST_RADIUS) if length > _BRIEF else state.radius

    def _restarted(self, model: ValueModel, state: LowerBoundState, oracle: Oracle) -> tuple[Tensor, LowerBoundState]:
        """Begin another descent at the least explored point around the start, or end."""
        best = int(np.argmin(model.values))
        lowest = Incumbent(torch.from_numpy(model.points[best].copy()), float(model.values[best]))
        idle = 0
        if state.lowest is not None and not lowest.fun < state.lowest.fun:
            lowest, idle = state.lowest, state.idle + 1
        if idle >= self.patience:
            return lowest.x, evolve(state, verdict=Status.FINISHED)
        reach = state.reach * _REACH_GROWTH
        around = oracle.rng.uniform(-1, 1, (_COMPARED, len(model.points[0])))
        points = oracle.project(torch.from_numpy(model.points[0] + reach * model.unit * around)).numpy()
        nearest = np.min([model.distances(points, sample) for sample in model.points], axis=0)
        begun = LowerBoundState(radius=self.radius, first=len(model.values), reach=reach, lowest=lowest, idle=idle)
        return torch.from_numpy(points[int(np.argmax(nearest))].copy()), begun


def _lowest(model: ValueModel, centre: Array, radius: float, oracle: Oracle) -> Array:
    """Point with the lowest bound within `radius` of a point, inside the bounds."""
    low, high = (oracle.project(torch.from_numpy(centre + side * radius)).numpy() for side in (-1, 1))
    least = _LEAST_VARIANCE_OF_BOUND * float(np.ptp(model.values)) ** 2

    def of_many(x: Array) -> Array:
        mean, variance = model.predict(x)
        found: Array = mean - np.sqrt(variance + least)
        return found

    def bound(x: Array) -> tuple[float, Array]:
        mean, variance, mean_slope, variance_slope = model.slopes(x)
        deviation = math.sqrt(variance + least)
        return mean - deviation, mean_slope - variance_slope / (2 * max(deviation, 1e-150))

    return lowest_in_box(of_many, bound, centre, low, high, radius, oracle.rng)
