"""Base of the estimators with a history of samples and an adaptive sigma."""

from __future__ import annotations

import abc
import math
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from attrs import evolve, field, frozen, validators
from numpy.typing import NDArray
from torch import Tensor

from invopt.exceptions import NonFiniteError
from invopt.plugin import (
    AdaptiveSigma,
    Estimate,
    Estimator,
    Evaluator,
    Problem,
    Schedule,
    SeedPolicy,
    SeedSource,
    as_schedule,
    integer,
)

from .directions import Directions, draw
from .noise_floor import NoiseFloor
from .window import Batch

__all__ = ["HistoryEstimator", "HistoryState", "Sample"]

# Once a sample has fallen by this share of the first ones, a small spread does not indicate a plateau.
# Measured (tests/benchmarks/constants.py): no influence within 2 % with 0.05 and 0.2.
_DESCENT = 0.1
# Multiple of the window while sigma is held, because noise then has to be averaged.
# Measured (tests/benchmarks/constants.py): no influence within 2 % with 2 and 8.
_HELD_WINDOWS = 4
# Estimates in a row that may stay at a point; after that, a small spread of the samples is taken for a slope.
# Measured (tests/benchmarks/constants.py): no influence within 2 % with 9 and 36.
_MAX_STAYS = 18
# Share of their mean by which values differ because of rounding: 45 times the machine precision of float64.
_ROUNDING_SPREAD = 1e-14


class Sample(NamedTuple):
    """A point and its value."""

    x: Tensor
    fun: float


@frozen(eq=False, kw_only=True)
class HistoryState:
    """What a history estimator remembers.

    Attributes
    ----------
    first, sigma : float
        First and present sigma.
    iteration : int
        Number of estimates so far.
    x : Tensor or None
        Point of the last estimate.
    step : Tensor or None
        Step before the last one.
    strides : int
        Number of steps in a row that were as long as the bound allows.
    stay : bool
        Whether the samples of the last estimate did not differ, so that the run stays.
    stays : int
        Number of such estimates in a row.
    batches : tuple of Batch
        Samples in the window.
    gram : Tensor or None
        Inner products of the residuals of these samples, if they are needed.
    directions : Directions
        State of the sequence of perturbations.
    seed : int or None
        Seed that all samples of the window share.
    top : float or None
        Mean of the first samples' values.
    lowest : Sample or None
        Lowest sample under the present seed.
    floor : NoiseFloor
        What is known of the noise.
    wide : bool
        Whether sigma was set anew, so that it does not follow the last step.
    origin : Tensor or None
        Point of the first estimate.
    best : Sample or None
        Lowest sample of all earlier descents.
    hold : bool
        Whether sigma is held, because a smaller one would show noise only.
    minima : tuple of Tensor
        Minima found under earlier seeds.
    probes : int
        Number of times that noise was measured.
    probed : float
        Sigma at the last of these times.
    deviations : Tensor or None
        Residuals under several seeds at one point, less their mean, shape (seeds, m).
    undetermined : int
        Number of estimates in a row whose model was rank-deficient.
    apart : float
        Half the variance, between seeds, of the difference of values one sigma apart: noise that they do not share.
    """

    first: float
    sigma: float
    iteration: int = 0
    x: Tensor | None = None
    step: Tensor | None = None
    strides: int = 0
    stay: bool = False
    stays: int = 0
    batches: tuple[Batch, ...] = ()
    gram: Tensor | None = None
    directions: Directions = field(factory=Directions)
    seed: int | None = None
    top: float | None = None
    lowest: Sample | None = None
    floor: NoiseFloor = field(factory=lambda: NoiseFloor(spp=None, restarts=0))
    wide: bool = False
    origin: Tensor | None = None
    best: Sample | None = None
    hold: bool = False
    minima: tuple[Tensor, ...] = ()
    probes: int = 0
    probed: float = math.inf
    deviations: Tensor | None = None
    undetermined: int = 0
    apart: float = 0.0


def _as_sigma(value: AdaptiveSigma | Schedule | float | None) -> AdaptiveSigma | Schedule:
    return value if isinstance(value, AdaptiveSigma) else as_schedule(value) or AdaptiveSigma()


@frozen(kw_only=True)
class HistoryEstimator(Estimator):
    """Base of the estimators that re-weight earlier samples to the present point.

    Parameters
    ----------
    sigma : AdaptiveSigma, Schedule or float, optional
        Standard deviation of the smoothing kernel, in units of the problem's `x_scale`. By default it starts at the
        problem's own `sigma` and adapts to the steps of the run.
    n_samples : int, default 2
        Antithetic pairs an iteration, at least 1; each costs two evaluations.
    window : int, default 8
        Iterations whose samples are kept, at least 1.
    seeds : SeedPolicy or str, default "per_pair"
        With "per_pair" the whole window shares one seed, so that shared noise cancels in all differences within it.
        With "fixed" no noise is measured: the function is taken as deterministic.
    """

    unbiased: ClassVar[bool] = False

    sigma: AdaptiveSigma | Schedule = field(
        factory=AdaptiveSigma,
        converter=_as_sigma,
        validator=validators.instance_of((AdaptiveSigma, Schedule)),
    )
    n_samples: int = field(default=2, validator=integer(1))
    window: int = field(default=8, validator=integer(1))

    def init(self, problem: Problem) -> HistoryState:
        """State before the first estimate."""
        start = self.sigma.at(0, problem.sigma) if isinstance(self.sigma, Schedule) else self.sigma.start
        first = problem.sigma if start is None else start
        return HistoryState(first=first, sigma=first)

    def cost(self, n: int) -> int:
        """Evaluations of one estimate; the Hessian and products cost nothing."""
        return 2 * self.pairs(n)

    def pairs(self, n: int) -> int:
        """Antithetic pairs of one estimate."""
        return self.n_samples

    def estimate(
        self, objective: Evaluator, x: Tensor, state: HistoryState, rng: np.random.Generator
    ) -> tuple[Estimate, HistoryState]:
        """Estimate at `x` from new samples and remembered ones."""
        objective.check_budget(self.cost(objective.n))
        before = objective.nfev
        origin = x.clone() if state.origin is None else state.origin
        if state.x is None:
            first = min(state.first, objective.sigma_limit)
            state = evolve(state, first=first, sigma=first)
        state = self._follow(x, state)
        sigma = min(state.sigma, objective.sigma_limit)
        state = evolve(state, sigma=sigma, x=x.clone(), iteration=state.iteration + 1, origin=origin)
        state = self._sample(objective, x, state, rng)
        estimate, state = self._model(objective, x, state, rng)
        return evolve(estimate, nfev=objective.nfev - before), state

    @abc.abstractmethod
    def _evaluate(self, objective: Evaluator, points: Tensor, seed: NDArray[np.int64], state: HistoryState) -> Tensor:
        """Values at the rows of `points`, (k,) or (k, m)."""

    @abc.abstractmethod
    def _model(
        self, objective: Evaluator, x: Tensor, state: HistoryState, rng: np.random.Generator
    ) -> tuple[Estimate, HistoryState]:
        """Estimate from the window, and the next state."""

    def _follow(self, x: Tensor, state: HistoryState) -> HistoryState:
        """Adapt sigma to the last step."""
        rule = self.sigma
        if isinstance(rule, Schedule):
            return evolve(state, sigma=rule.at(state.iteration, state.first))
        if state.x is None or state.wide:
            return evolve(state, wide=False)
        if state.stay:
            return evolve(state, sigma=rule.after_staying(state.sigma, state.first))
        step = x - state.x
        back = state.step is not None and float(step @ state.step) < 0
        if state.hold:
            return evolve(state, step=step)
        length = float(torch.linalg.vector_norm(step))
        sigma = rule.after_step(state.sigma, state.first, length, back=back, strides=state.strides)
        strides = state.strides + 1 if rule.is_stride(state.sigma, length, back=back) else 0
        return evolve(state, sigma=sigma, step=step, strides=strides)

    def _sample(self, objective: Evaluator, x: Tensor, state: HistoryState, rng: np.random.Generator) -> HistoryState:
        """Add a batch around `x`."""
        m = self.pairs(objective.n)
        t, directions = draw(rng, m, objective.n, state.directions)
        seed, source = state.seed, SeedSource(self.seeds, rng)
        if self.seeds is SeedPolicy.PER_PAIR and seed is None:
            seed = int(source.compare(1)[0])
        elif seed is not None and self.window == 1:
            # Without earlier samples to compare with, a new seed each time lets the noise average out.
            seed = source.following(seed)
        seeds = source.draw(m, 2) if seed is None else np.full(2 * m, seed)
        # Points outside the bounds are projected before they are evaluated and fitted.
        points = objective.project(torch.cat([x - state.sigma * t, x + state.sigma * t]))
        points, values = _finite(points, self._evaluate(objective, points, seeds, state))
        batch = Batch(x.clone(), state.sigma, points, values)
        i = int(batch.funs.argmin())
        lowest = Sample(points[i], float(batch.funs[i]))
        if state.lowest is not None and state.lowest.fun <= lowest.fun:
            lowest = state.lowest
        return evolve(
            state,
            batches=(*state.batches, batch)[-self.window * (_HELD_WINDOWS if state.hold else 1) :],
            directions=directions,
            seed=seed,
            top=float(batch.funs.mean()) if state.top is None else state.top,
            lowest=lowest,
        )

    def _is_plateau(self, weights: Tensor, funs: Tensor, state: HistoryState) -> bool:
        """Whether the samples do not differ, although the run has not descended yet."""
        if not isinstance(self.sigma, AdaptiveSigma):
            return False
        mean = float(weights @ funs)
        spread = float(weights @ (funs - mean).square()) ** 0.5
        if state.stays >= _MAX_STAYS and spread > _ROUNDING_SPREAD * abs(mean):
            return False
        assert state.top is not None
        assert state.lowest is not None
        small = spread <= self.sigma.gate * abs(mean)
        return small and state.lowest.fun >= state.top - _DESCENT * abs(state.top)

    @staticmethod
    def _stayed(state: HistoryState, stay: bool) -> HistoryState:
        """Count estimates that stay; once there were too many in a row, the count is kept."""
        return evolve(state, stay=stay, stays=state.stays + 1 if stay or state.stays >= _MAX_STAYS else 0)


def _finite(points: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Drop samples that are not finite or whose squares are not."""
    keep = torch.isfinite(values if values.ndim == 1 else torch.linalg.vector_norm(values, dim=1).square())
    if bool(keep.all()):
        return points, values
    if not bool(keep.any()):
        raise NonFiniteError("no sample was finite; raise n_samples or bound the parameters")
    return points[keep], values[keep]
