"""GaussNewton: smoothed Jacobian of the residuals.

It comes from the samples of the last iterations.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from attrs import evolve, field, frozen, validators
from numpy.typing import NDArray
from torch import Tensor

from invopt.plugin import (
    AdaptiveSigma,
    Capability,
    Estimate,
    Evaluator,
    Order,
    Problem,
    SeedPolicy,
    SeedSource,
    Status,
    integer,
    newton_step,
    on_free,
)

from ..least_squares.parameter_covariance import error_bars
from .history import HistoryEstimator, HistoryState, Sample
from .linear_model import LinearModel, extended, linear_model
from .mean_square_estimate import mean_square_estimate
from .noise_floor import MAX_HIDDEN, ONLY_NOISE, SIGMA_GROWTH, SPP_FACTOR, NoiseFloor
from .restarts import best_descent, restarted
from .window import helpful, reweight

__all__ = ["GaussNewton"]

# Share of the first sigma below which a descent is over.
# Measured (tests/benchmarks/constants.py): with 0.1 and 0.4, 2 % fewer and 12 % more evaluations to the answer; 1 %
# more and 4 % more in all.
_SMALL_SIGMA = 0.2
# Multiple of the noise above which the message of the result mentions the remaining residuals; it changes nothing else.
_REPORTED_NOISE = 3.0
# Standard errors to which sigma may shrink: below, jumps of single pixels look like a slope.
# Measured (tests/benchmarks/constants.py): with 1.5 and 6, 14 % more and 8 % fewer evaluations.
_LEAST_SIGMA_IN_ERRORS = 3.0
# Estimates in a row whose Jacobian may be rank-deficient before the run ends as unsure.
# Measured (tests/benchmarks/constants.py): with 4 and 16, 16 % fewer and 29 % more evaluations.
_MAX_RANK_DEFICIENT = 8
# Seeds under which the noise is measured.
# Measured (tests/benchmarks/constants.py): with 2 and 6, 3 % fewer and 2 % more evaluations.
_NOISE_SEEDS = 3
# Seeds for few residuals, which are less to average over.
# Measured (tests/benchmarks/constants.py): with 2 and 8, 2 % fewer and 3 % more evaluations.
_NOISE_SEEDS_IF_FEW = 4
# Largest number of residuals that counts as few.
# Measured (tests/benchmarks/constants.py): no influence within 2 % with 6 and 24.
_FEW_RESIDUALS = 12
# Number of parameters up to which one pair of samples an iteration and the window determine the slope.
# Measured (tests/benchmarks/constants.py): with 2 and 6, 30 % more and 26 % fewer evaluations to the answer; 31 % more
# and 31 % fewer in all.
_FEW_PARAMETERS = 3


@frozen(kw_only=True)
class GaussNewton(HistoryEstimator):
    r"""`fun`, `jac` and `hess` of a mean of squares from its smoothed Jacobian.

    The Jacobian is that of the residuals.

    For problems that return residuals, such as the pixels of an image, with up to about 20 parameters.

    A linear function of x is fitted to the residuals r of all samples of the window, re-weighted as in `SampleHistory`.
    Its value is the smoothed residual :math:`\bar r = E[r(x - \tau)]`, its slope the smoothed Jacobian J. The estimate
    is that of :math:`|\bar r|^2 / m`: gradient :math:`2 J^T \bar r / m`, Hessian :math:`2 J^T J / m`. Residuals have a
    sign, so n + 1 samples replace (n + 1)(n + 2) / 2 values. The minimum of the smoothed image's error is also closer
    to the answer than the minimum of the smoothed error.

    Parameters
    ----------
    sigma, window, seeds
        As in every estimator with a history, see `HistoryEstimator`. If `sigma` is a schedule or a number, there are no
        restarts and no end at the noise floor.
    n_samples : int, optional
        Antithetic pairs an iteration, at least 1; by default 1 for up to 3 parameters and 2 n for more, because with
        more parameters fewer remembered samples are still near.
    restarts : int, default 8
        New descents after one that ended above the noise floor, >= 0: alternately from the start of the run and from
        the end of that descent.
    max_spp_factor : int, default 64
        Largest factor, >= 1, by which samples per pixel are raised, in steps of 4, once the noise exceeds the steps.
        Below 4 they are never raised.

    Notes
    -----
    With few samples J comes out too large: :math:`E|\hat J|^2 = |J|^2 + noise`, and steps too short. The sampling
    covariance of the fit is therefore subtracted from gradient and Hessian. If the samples are very few, this can make
    the Hessian indefinite: a method with a trust radius then steps to its boundary.

    With ``window=1`` nothing is remembered. If there are then no more samples than coefficients, J is the slope of
    least norm and the Hessian is :math:`2 J^T J / m`, never indefinite. Networks are trained this way with
    `HessianFree`, at two renders an input. Behind a network give `sigma` a schedule, because an adaptive sigma follows
    the steps of one descent.

    It needs common random numbers: with ``seeds="fresh"`` J sees only the noise of the pixels.

    *Noise.* Once sigma has fallen to a fifth of its first value, the noise of the residuals is measured by evaluations
    at one point under three seeds, or four if there are few residuals.

    *Restarts.* If the lowest value is far above the noise, the minimum is a wrong one. Then sigma returns to its first
    value and the next descent begins at the start of the run or, the next time, where the last descent ended (only
    `Newton` moves there). Samples are kept unless their noise differs. If no descent reaches the noise, the lowest of
    them is the answer, and the message says so.

    *End.* Once steps are shorter than their error bars, the run is at the noise floor. It then continues with a new
    seed, four times the samples per pixel and an empty window. It ends with `Status.NOISE_FLOOR` and an error bar for
    every parameter once `max_spp_factor` is reached or more samples no longer lower the residuals. Until then sigma
    stays at three error bars or more. A parameter at its bound has standard error 0, because noise does not move it. If
    the residuals were no more than noise from the start, the status is `Status.PLATEAU`.

    See Also
    --------
    SampleHistory : needs values only.
    SparseGaussNewton : for thousands of parameters, each of which changes few residuals.
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
        return 1 if n <= _FEW_PARAMETERS else 2 * n

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
        adaptive = isinstance(self.sigma, AdaptiveSigma)
        noisy = self.seeds is not SeedPolicy.FIXED
        estimate = mean_square_estimate(x, model, state, remembers=self.window > 1, noisy=noisy)
        m, n = state.batches[-1].values.shape[1], len(x)
        note = _FEWER.format(m, n) if m < n else ""
        # The gradient of residuals in small units is small: before sigma is small, that does not indicate a minimum.
        estimate = evolve(estimate, partial=adaptive and state.floor.noise is None, note=note)
        if not bool(state.batches[-1].values.any()):
            # All residuals are 0.
            return evolve(estimate, status=Status.CONVERGED), state
        state = evolve(state, batches=helpful(state.batches, seen))
        if stay or not adaptive or (state.sigma > _SMALL_SIGMA * state.first and not state.hold):
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
        """Once sigma is small: restart, or test whether the descent has reached the noise."""
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
        if not model.overdetermined:
            return estimate, state
        if int(torch.linalg.matrix_rank(model.products[1:, 1:], hermitian=True)) < objective.n:
            return self._rank_deficient(estimate, state, _FREE, _MAX_RANK_DEFICIENT)
        if floor.noise == 0.0:
            return estimate, state
        return self._at_the_noise(objective, estimate, model, state, rng)

    def _with_noise(
        self, objective: Evaluator, x: Tensor, state: HistoryState, rng: np.random.Generator
    ) -> HistoryState:
        """Measure the noise at `x`, 0 with fixed seeds, unless a value is not finite."""
        if self.seeds is SeedPolicy.FIXED:
            return evolve(state, floor=state.floor.measured(0.0))
        few = state.batches[-1].values.shape[1] <= _FEW_RESIDUALS
        seeds = SeedSource(self.seeds, rng).repeat(_NOISE_SEEDS_IF_FEW if few else _NOISE_SEEDS)
        residuals = self._evaluate(objective, x.expand(len(seeds), -1), seeds, state)
        noise = float(residuals.var(0).mean())
        if not math.isfinite(noise):
            return state
        # Scaled to the problem's own samples per pixel.
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
        """Once the step is within its error bars: raise the samples, restart, or end."""
        coefficients = model.coefficients
        residual, slope = coefficients[0], coefficients[1:] / state.sigma
        excess = model.covariance()[1:] / state.sigma**2
        jac, hess = slope @ residual - excess[:, 0] * state.sigma, slope @ slope.T - excess[:, 1:]
        # Noise does not move a parameter that is pressed against a bound.
        free = objective.free(estimate.x, jac)
        error, reported = torch.zeros_like(estimate.x), torch.zeros_like(estimate.x)
        if bool(free.any()):
            assert state.deviations is not None
            deviations = state.deviations / math.sqrt(state.floor.factor)
            found = error_bars(slope[free], residual, excess[free][:, 1:][:, free], state.floor.level, deviations)
            if found is None:
                # With a larger sigma a slope stands out of noise that differs from point to point.
                state = evolve(state, hold=True, sigma=min(SIGMA_GROWTH * state.sigma, state.first))
                return self._rank_deficient(estimate, state, _HIDDEN, MAX_HIDDEN)
            error[free], reported[free] = found
        estimate = evolve(estimate, x_standard_error=reported, lowest=None)
        state = evolve(state, hold=state.sigma < _LEAST_SIGMA_IN_ERRORS * float(error.max()), undetermined=0)
        step = on_free(newton_step, jac, hess, free)
        if step is None or bool((step.abs() > error).any()):
            return estimate, state
        # If samples per pixel cannot be raised, only a smaller sigma can still reduce the bias.
        if state.floor.spp is None and not state.hold and state.sigma > self._least(state):
            return estimate, state
        return self._raise_samples(objective, estimate, float(residual.square().mean()), state, rng)

    @staticmethod
    def _rank_deficient(
        estimate: Estimate, state: HistoryState, note: str, patience: int
    ) -> tuple[Estimate, HistoryState]:
        """End the run as unsure if the Jacobian is rank-deficient too often in a row."""
        if state.undetermined < patience:
            return estimate, evolve(state, undetermined=state.undetermined + 1)
        return evolve(estimate, status=Status.UNSURE, note=note), state

    def _raise_samples(
        self, objective: Evaluator, estimate: Estimate, value: float, state: HistoryState, rng: np.random.Generator
    ) -> tuple[Estimate, HistoryState]:
        """Raise samples per pixel if that still lowers `value`, a mean square; else end."""
        floor, top = state.floor, state.top
        assert top is not None
        if floor.is_above(value, top):
            # The noise at this many samples per pixel, and here, may differ from what was extrapolated.
            state = self._with_noise(objective, estimate.x, state, rng)
            floor = state.floor
            if floor.is_above(value, top):
                return self._too_high(estimate, evolve(state, lowest=Sample(estimate.x, value)))
        if not (floor.can_raise(value, self.max_spp_factor) and self._affords(objective, floor)):
            if not floor.has_signal(top, objective.n, state.batches[-1].values.shape[1]):
                return evolve(estimate, x_standard_error=None, status=Status.PLATEAU, note=ONLY_NOISE), state
            note = _LEFT_OVER.format(value / floor.level) if value > _REPORTED_NOISE * floor.level else ""
            return evolve(estimate, status=Status.NOISE_FLOOR, note=note), state
        return estimate, evolve(state, floor=floor.after_raise(value), seed=None, batches=(), lowest=None)

    def _least(self, state: HistoryState) -> float:
        assert isinstance(self.sigma, AdaptiveSigma)
        return self.sigma.least * state.first

    def _too_high(self, estimate: Estimate, state: HistoryState) -> tuple[Estimate, HistoryState]:
        """Restart, or return to the best descent if no restart is left."""
        state = evolve(state, hold=False)
        return restarted(estimate, state, self.restarts) if state.floor.restarts > 0 else best_descent(estimate, state)

    def _affords(self, objective: Evaluator, floor: NoiseFloor) -> bool:
        """Whether the budget suffices for a new window with more samples per pixel."""
        n = objective.n
        estimates = -(-(n + 2) // self.cost(n)) + 1
        price = estimates * self.cost(n) * floor.factor * SPP_FACTOR
        return objective.nfev + price <= objective.affordable


_FEWER = "{} residuals do not determine {} parameters: this is one of many answers"
_FREE = "the residuals do not determine all parameters: some can change together, or alone, without changing any"
_HIDDEN = "noise that differs from point to point hides how the residuals depend on some parameter"
_LEFT_OVER = "the residuals are still {:.0f} times the noise"
