"""LeastSurprise: the next point is where the target would surprise a model least."""

from __future__ import annotations

import enum
import math
from typing import Any, ClassVar

import numpy as np
import torch
from attrs import evolve, field, frozen
from numpy.typing import NDArray
from torch import Tensor

from invopt.plugin import Estimate, Model, Optimizer, Oracle, Order, Status, real, require

from .descent.acquisition import lowest_in_box

__all__ = ["LeastSurprise"]

Array = NDArray[np.float64]

# Share of their size by which squares differ because of rounding.
_ROUNDING = 1e-14
# Random candidates of most uncertainty for each parameter, up to four.
_CANDIDATES, _MOST_DIMENSIONS = 100, 4
# Radius below which a descent of plain vectors may end for want of decrease.
_SMALL_RADIUS = 1e-3
# Failed steps in a row, of plain vectors, of which the last is spent on the model instead.
_FAILURES = 3
# First radius in the fine stage, in units of the model's unit.
_FINE_RADIUS = 0.5
# Radius and step, in these units, at which a descent of pictures ends, and of plain vectors, whose model is smooth.
_LEAST, _LEAST_OF_VECTORS = 0.01, 1e-7
# Decrease of the merit, a mean logarithm of squares, in so many steps, below which a descent of pictures ends, and of
# plain vectors.
_LEAST_DECREASE, _LEAST_DECREASE_OF_VECTORS, _PATIENCE = 0.1, 1e-7, 5


class Stage(enum.Enum):
    """Which levels of the model count."""

    COARSE = "all alike"
    FINE = "by their number of independent values"
    ENDED = "the descent has ended"


@frozen(kw_only=True, eq=False)
class LeastSurpriseState:
    """Where a descent stands.

    Attributes
    ----------
    stage : Stage
        Which levels count.
    radius : float
        Half the width of the box, in units of the model's unit.
    first : int or None
        Number of the descent's first sample; None before the first step.
    merits : tuple of float
        Merit of the best sample before each step of this stage.
    tried : tuple of float, or None
        Length of the last step, and its largest component, in units of the radius.
    failures : int
        Number of steps in a row that did not give the best sample.
    """

    stage: Stage = Stage.COARSE
    radius: float
    first: int | None = None
    merits: tuple[float, ...] = ()
    tried: tuple[float, float] | None = None
    failures: int = 0


@frozen(kw_only=True)
class LeastSurprise(Optimizer):
    r"""Steps to where the target would surprise the model least.

    For estimators with a model of the residuals, `invopt.estimators.Kriging`. Residuals are differences from the
    target, so that the target is 0. A model predicts at x, for each level l, residuals with mean square |mean|^2 and
    variance v. Where the residuals were 0, the mean log density of the levels would be, up to a constant,

    .. math:: S(x) = -\tfrac{1}{2} \sum_l w_l \left( \frac{|\mathrm{mean}_l(x)|^2}{V_l(x)} + \log V_l(x) \right),
       \qquad V_l(x) = v_l(x) + \gamma\, |r_l|^2 ,

    where r are the residuals at the best sample and the last term allows for a target that cannot be matched. The next
    point is the maximum of S in a box around the best sample.

    Every third failed step in a row with plain vectors goes to the point of the box where the model knows least.

    A descent has two stages. At first all levels count alike, which finds the way from afar. Then each counts by its
    number of independent values: what coarse levels fit may not overrule what fine ones show.

    Parameters
    ----------
    radius : float, default 2
        First half-width of the box, in units of the model's unit, > 0.
    max_radius : float, default 3
        Largest half-width, >= `radius`.

    Raises
    ------
    TypeError, ValueError
        If a radius is not a positive number, or the largest is below the first.

    Notes
    -----
    The box grows by a half if a step to its boundary gives the best sample, and is halved if a step does not. A descent
    ends once the step or the radius is small, or the samples no longer improve. The run then measures the noise, goes
    on elsewhere or refines the answer: `docs/choosing.rst` says how.

    Examples
    --------
    >>> LeastSurprise()
    LeastSurprise(radius=2.0, max_radius=3.0)
    """

    requires: ClassVar[Order] = Order.MODEL
    noise_aware: ClassVar[bool] = True

    radius: float = field(default=2.0, validator=real(above=0))
    max_radius: float = field(default=3.0, validator=real(above=0))

    def __attrs_post_init__(self) -> None:
        least = f">= radius = {self.radius:g}"
        require("max_radius", self.max_radius >= self.radius, least, self.max_radius)

    def init(self, x0: Tensor) -> LeastSurpriseState:
        """State before the first step."""
        return LeastSurpriseState(radius=self.radius)

    def status(self, state: Any) -> Status:
        """FINISHED once a descent has ended."""
        return Status.FINISHED if state.stage is Stage.ENDED else Status.RUNNING

    def step(
        self, x: Tensor, estimate: Estimate, state: LeastSurpriseState, oracle: Oracle
    ) -> tuple[Tensor, LeastSurpriseState]:
        """Return the next point; it costs no evaluation."""
        model = estimate.model
        if model is None:
            raise TypeError("LeastSurprise needs an estimate with a model of the residuals, such as Kriging's")
        if state.first is None:
            # The first samples are those of the estimator's design.
            state = evolve(state, first=_first_of_descent(model, x.numpy()))
        with np.errstate(all="ignore"):
            target, state = self._proposed(model, state, oracle)
        if state.stage is Stage.ENDED:
            target = model.points[_best(model, state)[0]]
        return torch.from_numpy(target), state

    def _proposed(self, model: Model, state: LeastSurpriseState, oracle: Oracle) -> tuple[Array, LeastSurpriseState]:
        """Return the next point, or end the descent if its steps have become small."""
        best, merit = _best(model, state)
        vectors = len(model.cells) == 1
        if state.tried is not None:
            failures = 0 if best == len(model.numbers) - 1 else state.failures + 1
            state = evolve(state, radius=self._resized(model, state, best), failures=failures)
        state = evolve(state, merits=(*state.merits, merit))
        least, decrease = (_LEAST_OF_VECTORS, _LEAST_DECREASE_OF_VECTORS) if vectors else (_LEAST, _LEAST_DECREASE)
        patience = _PATIENCE + model.points.shape[1] // 2
        stuck = len(state.merits) > patience and state.merits[-1 - patience] - merit < decrease
        # A vector's model becomes right once the box is small enough, however wrong it was.
        stuck = stuck and (not vectors or state.radius < _SMALL_RADIUS or _is_plateau(model))
        centre, radius = model.points[best], state.radius * model.unit
        if vectors and state.failures % _FAILURES == _FAILURES - 1:
            target = most_uncertain(model, best, radius, oracle)
        else:
            target = least_surprise(model, best, _weights(model, state), radius, oracle)
        away = float(model.distances(model.points, target).min()) / model.unit
        if away < least or state.radius < least or stuck or model.squares[best, 0] == 0.0:
            if state.stage is Stage.COARSE and not vectors:
                begun = LeastSurpriseState(stage=Stage.FINE, radius=_FINE_RADIUS, first=state.first)
                return self._proposed(model, begun, oracle)
            return centre, evolve(state, stage=Stage.ENDED)
        step = (target - centre) / model.unit
        tried = float(np.linalg.norm(step)), float(np.abs(step).max() / state.radius)
        return target, evolve(state, tried=tried)

    def _resized(self, model: Model, state: LeastSurpriseState, best: int) -> float:
        """Radius after a step: it follows whether that gave the best sample."""
        assert state.tried is not None
        length, reach = state.tried
        if _is_plateau(model):
            return _GROW * state.radius
        if best == len(model.numbers) - 1:
            return min(_GROW * state.radius, self.max_radius) if reach > _AT_BOUNDARY else state.radius
        shortest = state.stage is Stage.FINE or len(model.cells) == 1 or length > _SHORT
        return _SHRINK * state.radius if shortest else state.radius


# Factors of the radius; share of it from which a step counts as one to the boundary; length of a step up to which, in
# the coarse stage, a failure does not shrink it.
_GROW, _SHRINK, _AT_BOUNDARY, _SHORT = 1.5, 0.5, 0.95, 0.1


def _is_plateau(model: Model) -> bool:
    """Whether all samples have the same squares, so that steps have to be longer."""
    squares = model.squares[:, 0]
    return float(np.ptp(squares)) <= _ROUNDING * float(squares.max())


def _first_of_descent(model: Model, x: Array) -> int:
    """Number of the sample at `x`, where a descent begins; 0 if all are of one design."""
    n = model.points.shape[1]
    if len(model.numbers) <= n + 1:
        return 0
    return int(model.numbers[int(np.argmin(model.distances(model.points, x)))])


def _weights(model: Model, state: LeastSurpriseState) -> Array:
    return model.coarse if state.stage is Stage.COARSE else model.fine


def _best(model: Model, state: LeastSurpriseState) -> tuple[int, float]:
    """Index and merit of the descent's best sample."""
    merits = model.merits(_weights(model, state))
    assert state.first is not None
    own = np.where(model.numbers >= state.first, merits, math.inf)
    best = int(np.argmin(own))
    return best, float(own[best])


def most_uncertain(model: Model, best: int, radius: float, oracle: Oracle) -> Array:
    """Point within `radius` of a sample where the model knows least."""
    centre, n = model.points[best], model.points.shape[1]
    k = _CANDIDATES * min(n, _MOST_DIMENSIONS)
    away = oracle.rng.standard_normal((k, n))
    away *= radius / np.linalg.norm(away, axis=1, keepdims=True)
    candidates = oracle.project(torch.from_numpy(centre + away)).numpy()
    found: Array = candidates[int(np.argmax(model.predict(candidates).variance[:, 0]))]
    return found


def least_surprise(model: Model, best: int, weights: Array, radius: float, oracle: Oracle) -> Array:
    """Point of least surprise within `radius` of a sample, inside the bounds."""
    centre, misfit = model.points[best], model.misfit(best)
    low, high = (oracle.project(torch.from_numpy(centre + side * radius)).numpy() for side in (-1, 1))

    def of_many(x: Array) -> Array:
        return model.surprise(x, weights, misfit)

    def surprise(x: Array) -> tuple[float, Array]:
        at = model.slopes(x)
        total = at.variance + misfit
        value = float((at.mean / total + np.log(total)) @ weights)
        slope = (weights / total) @ at.mean_slope + (weights * (1 - at.mean / total) / total) @ at.variance_slope
        return value, slope

    return lowest_in_box(of_many, surprise, centre, low, high, radius, oracle.rng)
