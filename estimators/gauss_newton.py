"""Gauss-Newton: the smoothed Jacobian of the residuals, from the samples of the last iterations."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from attrs import evolve, field, frozen, validators
from numpy.typing import NDArray
from torch import Tensor

from invopt.plugin import (
    AdaptiveWidth,
    Capability,
    Estimate,
    Evaluator,
    Lowest,
    Order,
    Problem,
    SeedPolicy,
    SeedSource,
    Status,
    integer,
    newton_step,
    on_free,
)

from .history.history import HistoryEstimator, HistoryState, Sample
from .history.linear_model import LinearModel, extended, linear_model
from .history.mean_square_estimate import mean_square_estimate
from .history.noise_floor import ONLY_NOISE, RAISE, NoiseFloor
from .history.window import helpful, reweight
from .least_squares.parameter_covariance import error_bars

__all__ = ["GaussNewton"]

# Share of its first value below which a width is small, and a descent over.
_SMALL = 0.2
# Multiple of the noise above which the remaining residuals are reported as more than noise.
_FAR = 3.0
# Largest error bars that fit into a width that goes on to shrink.
_NARROW = 3.0
# Factor of a width at which noise hides the slope.
_WIDER = 1.5
# Estimates in a row that may leave a parameter undetermined, for good or by noise.
_PATIENCE, _LONG_PATIENCE = 8, 32
# Seeds under which noise is measured, and up to so many residuals.
_SEEDS, _MANY_SEEDS, _FEW_RESIDUALS = 3, 4, 12
# Up to so many parameters, two samples an iteration and those remembered determine the slope.
_FEW = 3


@frozen(kw_only=True)
class GaussNewton(HistoryEstimator):
    r"""`fun`, `jac` and `hess` of a mean of squares from the smoothed Jacobian of its residuals.

    The residuals r of all samples of the window, re-weighted as in `SampleHistory`, are fitted by a linear function
    of x: its value is the smoothed residual :math:`\bar r = E[r(x - \tau)]`, its slope the smoothed Jacobian J. The
    estimate is that of :math:`|\bar r|^2 / m`: gradient :math:`2 J^T \bar r / m`, Hessian :math:`2 J^T J / m`. A
    pixel that changes tells which way it changes, so that n + 1 samples say what takes (n + 1)(n + 2) / 2 values; and
    the minimum of the smoothed picture's error is closer to the answer than that of the smoothed error.

    Parameters
    ----------
    sigma, window, seeds
        As of every estimator with a history, see `HistoryEstimator`. With a schedule or a number for `sigma` there are
        no restarts and no end at the noise: the width is then the user's.
    n_samples : int, optional
        Antithetic pairs an iteration, at least 1; by default 1 for up to 3 parameters, and 2 n for more: the more
        parameters, the less of what is remembered is still near.
    restarts : int, default 8
        New descents after one that ended above the noise floor, >= 0: alternately from the start and from there.
    max_spp_factor : int, default 64
        Samples per pixel may rise fourfold, and again, up to this factor, >= 1, once noise swamps the steps; below 4
        they stay.

    Notes
    -----
    Few samples make J too long: :math:`E|\hat J|^2 = |J|^2 + noise`, and steps too short. The sampling covariance of
    the fit is therefore subtracted from gradient and Hessian, which can leave the Hessian indefinite where the samples
    know little: a method with a trust radius then steps to its bound.

    With ``window=1`` nothing is remembered. Where then the new samples are no more than coefficients, J is the slope of
    least norm and the Hessian is :math:`2 J^T J / m`, never indefinite: what networks are trained with
    (`HessianFree`), two renders an input. Behind a network give `sigma` a schedule, for an adaptive width follows the
    steps of one descent.

    Needs common random numbers: without (``seeds="fresh"``) the noise of the pixels is all that J sees.

    Once the width has fallen to a fifth, evaluations at one point with three seeds, four where residuals are few, tell
    the noise of the residuals. A lowest value far above it, or above what more samples per pixel leave of it,
    means a wrong minimum: the width goes back to its first value, the samples are kept unless they are of other noise,
    and the next descent begins where the run began, or, the next time, where the last one ended (of the methods
    `Newton` alone goes there). Other samples take another way down, and where two parameters have taken the same place,
    none leaves it. If no descent comes down to the noise, the lowest of them is the answer, and the message says so.
    Otherwise the run is at the noise floor as soon as steps are shorter than their error bars: new seed, four times the
    samples per pixel, no history; and it ends, with `Status.NOISE_FLOOR` and an error bar for every parameter, where
    that is used up or no longer lowers the residuals. Meanwhile no kernel gets narrower than three error bars. A
    parameter at its bound has standard error 0: noise does not move it. Where the residuals were no more than noise
    from the start, the end is `Status.PLATEAU`.

    See Also
    --------
    SampleHistory : from values alone.
    SparseGaussNewton : for thousands of parameters, each of which shows in few pixels.
    """

    provides: ClassVar[Order] = Order.FUN | Order.JAC | Order.HESS | Order.HESSP
    needs: ClassVar[Capability] = Capability.FUN | Capability.RESIDUALS

    n_samples: int | None = field(default=None, validator=validators.optional(integer(1)))  # type: ignore[assignment]
    restarts: int = field(default=8, validator=integer(0))
    max_spp_factor: int = field(default=64, validator=integer(1))

    def init(self, problem: Problem) -> HistoryState:
        """State before the first estimate."""
        return evolve(super().init(problem), floor=NoiseFloor(spp=problem.samples, restarts=self.restarts))

    def pairs(self, n: int) -> int:
        """Antithetic pairs of one estimate."""
        if self.n_samples is not None:
            return self.n_samples
        return 1 if n <= _FEW else 2 * n

    def _evaluate(self, objective: Evaluator, points: Tensor, seed: NDArray[np.int64], state: HistoryState) -> Tensor:
        return objective.residuals(points, seed=seed, spp=state.floor.raised).double()

    def _model(
        self, objective: Evaluator, x: Tensor, state: HistoryState, rng: np.random.Generator
    ) -> tuple[Estimate, HistoryState]:
        gram = extended(state.gram, state.batches)
        seen = reweight(state.batches, x, state.sigma)
        model = linear_model(state.batches, seen, gram)
        stay = self._is_plateau(seen.weights, seen.funs, state)
        state = evolve(self._stayed(state, stay), gram=gram)
        adaptive = isinstance(self.sigma, AdaptiveWidth)
        noisy = self.seeds is not SeedPolicy.FIXED
        estimate = mean_square_estimate(x, model, state, remembers=self.window > 1, noisy=noisy)
        m, n = state.batches[-1].values.shape[1], len(x)
        note = _FEWER.format(m, n) if m < n else ""
        # In small units any gradient is small; while the width is not, it says nothing of the minimum.
        estimate = evolve(estimate, partial=adaptive and state.floor.noise is None, note=note)
        if not bool(state.batches[-1].values.any()):
            # Nothing is left of the residuals.
            return evolve(estimate, status=Status.CONVERGED), state
        state = evolve(state, batches=helpful(state.batches, seen))
        if stay or not adaptive or (state.sigma > _SMALL * state.first and not state.hold):
            return estimate, state
        return self._at_the_end(objective, estimate, model, state, rng)

    def _at_the_end(
        self,
        objective: Evaluator,
        estimate: Estimate,
        model: LinearModel,
        state: HistoryState,
        rng: np.random.Generator,
    ) -> tuple[Estimate, HistoryState]:
        """The width is small: go back to a wide one, or see what the noise allows."""
        floor, lowest, top = state.floor, state.lowest, state.top
        assert lowest is not None
        assert top is not None
        if floor.noise is None:
            state = self._with_noise(objective, lowest.x, state, rng)
            floor = state.floor
            if floor.noise is None:
                return estimate, state
        if floor.factor == 1 and floor.is_above(lowest.fun, top):
            return self._too_high(estimate, state)
        if not model.determined:
            return estimate, state
        if int(torch.linalg.matrix_rank(model.products[1:, 1:], hermitian=True)) < objective.n:
            return self._undetermined(estimate, state, _FREE, _PATIENCE)
        if floor.noise == 0.0:
            return estimate, state
        return self._at_the_noise(objective, estimate, model, state, rng)

    def _with_noise(
        self, objective: Evaluator, x: Tensor, state: HistoryState, rng: np.random.Generator
    ) -> HistoryState:
        """With the noise at `x` measured, unless a value was not finite; it is 0 where seeds do not vary."""
        if self.seeds is SeedPolicy.FIXED:
            return evolve(state, floor=state.floor.measured(0.0))
        few = state.batches[-1].values.shape[1] <= _FEW_RESIDUALS
        seeds = SeedSource(self.seeds, rng).repeat(_MANY_SEEDS if few else _SEEDS)
        residuals = self._evaluate(objective, x.expand(len(seeds), -1), seeds, state)
        noise = float(residuals.var(0).mean())
        if not math.isfinite(noise):
            return state
        # As they would be with the problem's own samples per pixel.
        deviations = (residuals - residuals.mean(0)) * math.sqrt(state.floor.factor)
        return evolve(state, floor=state.floor.measured(noise), deviations=deviations)

    def _at_the_noise(
        self,
        objective: Evaluator,
        estimate: Estimate,
        model: LinearModel,
        state: HistoryState,
        rng: np.random.Generator,
    ) -> tuple[Estimate, HistoryState]:
        """Once the step is shorter than its error bars: ask for less noise, find that it is not noise, or end."""
        coefficients = model.coefficients
        residual, slope = coefficients[0], coefficients[1:] / state.sigma
        excess = model.covariance()[1:] / state.sigma**2
        jac, hess = slope @ residual - excess[:, 0] * state.sigma, slope @ slope.T - excess[:, 1:]
        # Noise does not move what is pressed against a bound.
        free = objective.free(estimate.x, jac)
        error, bar = torch.zeros_like(estimate.x), torch.zeros_like(estimate.x)
        if bool(free.any()):
            assert state.deviations is not None
            deviations = state.deviations / math.sqrt(state.floor.factor)
            found = error_bars(slope[free], residual, excess[free][:, 1:][:, free], state.floor.level, deviations)
            if found is None:
                # A wider kernel tells a slope from noise that no seed repeats.
                state = evolve(state, hold=True, sigma=min(_WIDER * state.sigma, state.first))
                return self._undetermined(estimate, state, _HIDDEN, _LONG_PATIENCE)
            error[free], bar[free] = found
        estimate = evolve(estimate, x_standard_error=bar, lowest=None)
        # Within a narrower kernel single pixels jump, and their jumps look like a slope.
        state = evolve(state, hold=state.sigma < _NARROW * float(error.max()), undetermined=0)
        step = on_free(newton_step, jac, hess, free)
        if step is None or bool((step.abs() > error).any()):
            return estimate, state
        # Without more samples to ask for, a narrower kernel is all that can still blur less.
        if state.floor.spp is None and not state.hold and state.sigma > self._least(state):
            return estimate, state
        return self._ask_for_less(objective, estimate, float(residual.square().mean()), state, rng)

    @staticmethod
    def _undetermined(
        estimate: Estimate, state: HistoryState, note: str, patience: int
    ) -> tuple[Estimate, HistoryState]:
        """The residuals show no slope in some direction: the end, once it is not chance."""
        if state.undetermined < patience:
            return estimate, evolve(state, undetermined=state.undetermined + 1)
        return evolve(estimate, status=Status.UNSURE, note=note), state

    def _ask_for_less(
        self, objective: Evaluator, estimate: Estimate, value: float, state: HistoryState, rng: np.random.Generator
    ) -> tuple[Estimate, HistoryState]:
        """More samples per pixel, where they are allowed and still pay; `value` is the residuals' mean square."""
        floor, top = state.floor, state.top
        assert top is not None
        if floor.is_above(value, top):
            # That more samples lower the noise is measured where it matters.
            state = self._with_noise(objective, estimate.x, state, rng)
            floor = state.floor
            if floor.is_above(value, top):
                return self._too_high(estimate, evolve(state, lowest=Sample(estimate.x, value)))
        if not (floor.can_raise(value, self.max_spp_factor) and self._affords(objective, floor)):
            if not floor.has_signal(top, objective.n, state.batches[-1].values.shape[1]):
                return evolve(estimate, x_standard_error=None, status=Status.PLATEAU, note=ONLY_NOISE), state
            note = _LEFT_OVER.format(value / floor.level) if value > _FAR * floor.level else ""
            return evolve(estimate, status=Status.NOISE_FLOOR, note=note), state
        return estimate, evolve(state, floor=floor.after_raise(value), seed=None, batches=(), lowest=None)

    def _least(self, state: HistoryState) -> float:
        assert isinstance(self.sigma, AdaptiveWidth)
        return self.sigma.least * state.first

    def _too_high(self, estimate: Estimate, state: HistoryState) -> tuple[Estimate, HistoryState]:
        """A descent that ended above the noise."""
        state = evolve(state, hold=False)
        return self._again(estimate, state) if state.floor.restarts > 0 else self._best(estimate, state)

    def _affords(self, objective: Evaluator, floor: NoiseFloor) -> bool:
        """Whether the budget holds a new window, as many samples as there are coefficients, at the next level."""
        n = objective.n
        estimates = -(-(n + 2) // self.cost(n)) + 1
        price = estimates * self.cost(n) * floor.factor * RAISE
        return objective.nfev + price <= objective.affordable

    def _again(self, estimate: Estimate, state: HistoryState) -> tuple[Estimate, HistoryState]:
        """The next descent, at the first width: from where the run began, else from here."""
        floor, best = state.floor.restarted(), _clean(state)
        if state.best is not None and state.best.fun < best.fun:
            best = state.best
        if (self.restarts - floor.restarts) % 2 == 1:
            assert state.origin is not None
            estimate = evolve(estimate, lowest=Lowest(state.origin, 0.0, lambda step: math.inf))
        # Samples of other noise are not of the same kind.
        kept = state.batches if state.floor.factor == 1 else ()
        state = evolve(state, sigma=state.first, floor=floor, wide=True, step=None, lowest=None, best=best)
        return estimate, evolve(state, batches=kept)

    @staticmethod
    def _best(estimate: Estimate, state: HistoryState) -> tuple[Estimate, HistoryState]:
        """No descent came down to the noise: the lowest of them is the answer, and not for noise alone."""
        estimate, here = evolve(estimate, note=state.floor.too_high), _clean(state)
        if state.best is None or here.fun <= state.best.fun:
            return estimate, state
        # Once; from there on the width goes on to shrink.
        lowest = Sample(state.best.x, state.best.fun + state.floor.level)
        estimate = evolve(estimate, lowest=Lowest(*lowest, lambda step: math.inf))
        return estimate, evolve(state, lowest=lowest, best=None, wide=True)


_FEWER = "{} residuals do not determine {} parameters: this is one of many answers"
_FREE = "the residuals do not determine all parameters: some can change together, or alone, without changing any"
_HIDDEN = "noise that no seed repeats hides how the residuals depend on some parameter"
_LEFT_OVER = "what is left of the residuals is still {:.0f} times the noise"


def _clean(state: HistoryState) -> Sample:
    """The lowest sample without the noise, of which descents have not all the same."""
    assert state.lowest is not None
    return Sample(state.lowest.x, state.lowest.fun - state.floor.level)
