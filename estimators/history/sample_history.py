"""SampleHistory: value, gradient and Hessian from recent samples.

The samples are those of the last iterations.
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
    Estimate,
    Evaluator,
    Lowest,
    Measurement,
    Order,
    Problem,
    SeedPolicy,
    SeedSource,
    Status,
    integer,
)

from .history import HistoryEstimator, HistoryState
from .model_minimum import kernel_shift, prediction_std, to_minimum, uncertainty
from .noise_floor import MAX_HIDDEN, ONLY_NOISE, SIGMA_GROWTH
from .regression import Fit, fit, quadratic, unpack
from .restarts import moved_to
from .window import Reweighted, helpful, reweight

__all__ = ["SampleHistory"]

# Most parameters: a window of twice as many samples as a quadratic has coefficients then holds 2,785 samples.
_MOST_PARAMETERS = 50
# Share of the first sigma at which noise is measured first.
# Measured (tests/benchmarks/constants.py): with 0.03 and 0.12, as many and 12 % more evaluations to the answer; 6 %
# more and 5 % fewer in all; 18 and 17 runs solved rather than 18 of 18; with 0.12 errors are 1.9 error bars.
_NOISE_SIGMA = 0.06
# Share of the standard deviation of the values under the kernel from which noise counts.
# Measured (tests/benchmarks/constants.py): no influence within 2 % with 0.05 and 0.2.
_NOISE_SHARE = 0.1
# Step to the model's minimum, in sigmas, up to which that minimum is accepted.
# Measured (tests/benchmarks/constants.py): no influence within 2 % with 0.15 and 0.6.
_SETTLED_STEP = 0.3
# Samples for each coefficient from which a minimum is accepted.
# Measured (tests/benchmarks/constants.py): with 0.75 and 3, as many and 5 % more evaluations; errors are 1.3 and 1.7
# error bars rather than 0.9.
_SAMPLES_PER_COEFFICIENT = 1.5
# Share of the first sigma up to which sigma grows if noise hides the curvature or moves the minimum.
# Measured (tests/benchmarks/constants.py): no influence within 2 % with 0.125 and 0.5.
_MAX_HELD_SIGMA = 0.25
# Factor of sigma from which noise is measured again: the values of one measurement can agree by chance.
# Measured (tests/benchmarks/constants.py): no influence within 2 % with 0.125 and 0.5.
_REMEASURING = 0.25
# Samples of a full window for each coefficient.
# Measured (tests/benchmarks/constants.py): with 1.05 and 4.2, 6 % fewer and 73 % more evaluations to the answer; 109 %
# more and 65 % more in all.
_WINDOW_FILL = 2.1
# Standard deviations of the noise by which the values must have fallen; by chance, 1 in 700.
# Measured (tests/benchmarks/constants.py): no influence within 2 % with 1.5 and 6.
_FALL_ERRORS = 3.0
# Seeds under which the minimum is found; the spread of these minima gives the error bars.
# Measured (tests/benchmarks/constants.py): with 2 and 8, 10 % fewer and 13 % more evaluations; with 2 errors are 1.7
# error bars.
_MINIMA = 4
# Standard errors from which a slope is followed; by chance, 1 in 20.
_SLOPE_ERRORS = 2.0


@frozen(kw_only=True)
class SampleHistory(HistoryEstimator):
    r"""`fun`, `jac` and `hess` from the samples of the last iterations.

    Few of the samples are new.

    For problems that return values only, with few parameters: up to 6 by default, at most 50.

    All samples of the window are re-weighted to the present point and sigma by the balance heuristic over the densities
    they were drawn from. A quadratic is then fitted to them in the basis of Hermite polynomials, whose coefficients are
    the derivatives of :math:`E[f(x - \tau)],\ \tau \sim N(0, \sigma^2 I)`.

    Parameters
    ----------
    sigma, window, seeds
        As in every estimator with a history, see `HistoryEstimator`.
    n_samples : int, optional
        Antithetic pairs an iteration, at least 1; by default 2 for up to 4 parameters, and for more so many that a full
        window holds twice as many samples as there are coefficients.

    Raises
    ------
    ValueError
        For more than 50 parameters: the quadratic has (n + 1)(n + 2) / 2 coefficients.

    Notes
    -----
    Consistent, not unbiased: with K samples in the window the error falls as :math:`1 / \sqrt K`, and the bias, which
    comes from normalising the weights by their sum, as 1 / K. On a quadratic there is no error once there are as many
    samples as coefficients. With fewer samples the coefficients are those of least norm: curvature that no sample shows
    is 0.

    The standard errors are those of least squares with unequal variances. They treat the samples as independent and do
    not contain noise that the whole window shares through its seed. They are infinite while there are no more samples
    than coefficients.

    *Noise.* Under one seed a noisy function has its own minimum, which differs from the true one. Once sigma has fallen
    to 6 % of its first value, noise is measured by two evaluations, with two seeds, at each of two points one sigma
    apart; and again whenever sigma has fallen to a quarter. If the noise that two such points do not share exceeds a
    tenth of the standard deviation of the values under the kernel, sigma is held.

    *End.* The minimum is then found again under three more seeds, each with an empty window. The answer is the mean of
    the four minima, and the run ends with `Status.NOISE_FLOOR`. The error bars are the standard errors of that mean
    (three degrees of freedom) and the bias of smoothing, if a third derivative stands out of the noise. If the values
    have fallen by no more than noise, the status is `Status.PLATEAU`. Sigma grows again while noise hides the
    curvature; if noise hides it for 32 estimates, as in a bent valley or if a parameter has no effect, the status is
    `Status.UNSURE`. Neither has error bars. Without noise, or if all points share their noise, sigma goes on to shrink
    and the tolerances end the run.

    See Also
    --------
    GaussNewton : if residuals are known; needs fewer evaluations.
    SharedSamples : unbiased, without memory.
    """

    provides: ClassVar[Order] = Order.FUN | Order.JAC | Order.HESS | Order.HESSP

    n_samples: int | None = field(default=None, validator=validators.optional(integer(1)))  # type: ignore[assignment]

    def pairs(self, n: int) -> int:
        """Antithetic pairs of one estimate."""
        if self.n_samples is not None:
            return self.n_samples
        coefficients = (n + 1) * (n + 2) // 2
        return max(2, math.ceil(_WINDOW_FILL * coefficients / (2 * self.window)))

    def init(self, problem: Problem) -> HistoryState:
        """State before the first estimate."""
        if problem.n > _MOST_PARAMETERS:
            raise ValueError(f"SampleHistory is for at most {_MOST_PARAMETERS} parameters, and there are {problem.n}")
        return super().init(problem)

    def _evaluate(self, objective: Evaluator, points: Tensor, seed: NDArray[np.int64], state: HistoryState) -> Tensor:
        return objective.fun(points, seed=seed).double()

    def _model(
        self, objective: Evaluator, x: Tensor, state: HistoryState, rng: np.random.Generator
    ) -> tuple[Estimate, HistoryState]:
        sigma, adaptive = state.sigma, isinstance(self.sigma, AdaptiveSigma)
        seen = reweight(state.batches, x, sigma)
        features, ridge = quadratic(seen.t)
        model = fit(features, ridge, seen.weights, seen.funs)
        errors = _errors(model, seen)
        state = self._stayed(state, self._is_plateau(seen.weights, seen.funs, state))
        state = evolve(state, batches=helpful(state.batches, seen))
        # The value under one seed differs from those under others.
        partial = state.hold or (adaptive and state.floor.noise is None)
        estimate = evolve(_describe(x, model, errors, seen, state), partial=partial)
        if not adaptive or (not state.hold and sigma > _NOISE_SIGMA * state.first):
            return estimate, state
        if not state.stay and bool((seen.funs == seen.funs[0]).all()):
            # All samples are equal, and lower than the start: the bottom of a step.
            return evolve(estimate, status=Status.CONVERGED), state
        if not state.hold and sigma <= _REMEASURING * state.probed:
            state = self._with_noise(objective, state, rng)
        if not model.overdetermined or state.floor.noise is None:
            return estimate, state
        return self._at_the_end(objective, estimate, model, state)

    def _with_noise(self, objective: Evaluator, state: HistoryState, rng: np.random.Generator) -> HistoryState:
        """Measure the noise, or average it with earlier measurements.

        Neither is done if a value is not finite. With fixed seeds the noise is 0.
        """
        if self.seeds is SeedPolicy.FIXED:
            return evolve(state, floor=evolve(state.floor, noise=0.0), probed=state.sigma)
        assert state.lowest is not None
        x, times = state.lowest.x, state.probes
        aside = state.sigma * torch.nn.functional.normalize(torch.from_numpy(rng.standard_normal(objective.n)), dim=0)
        points = objective.project(torch.stack([x, x + aside, x - aside]))
        # The first of two opposite points, unless the bounds have moved it to x.
        points = points[[0, 1 if not torch.equal(points[1], x) else 2]]
        seeds = SeedSource(self.seeds, rng).repeat(2, 2)
        values = self._evaluate(objective, points.repeat_interleave(2, 0), seeds, state).reshape(2, 2)
        if not bool(torch.isfinite(values).all()):
            return state
        noise = (times * (state.floor.noise or 0.0) + float(values.var(1).mean())) / (times + 1)
        floor, apart = evolve(state.floor, noise=noise), float((values[0] - values[1]).var()) / 2
        return evolve(state, floor=floor, apart=apart, probes=times + 1, probed=state.sigma)

    def _at_the_end(
        self, objective: Evaluator, estimate: Estimate, model: Fit, state: HistoryState
    ) -> tuple[Estimate, HistoryState]:
        """Once sigma is small: find the minimum under several seeds, and end."""
        assert state.floor.noise is not None
        exceeds = math.sqrt(state.apart) > _NOISE_SHARE * prediction_std(objective, estimate.x, model)
        if not state.hold:
            return estimate, evolve(state, hold=exceeds)
        if len(state.minima) == _MINIMA:
            return _ended(estimate, state), state
        n = objective.n
        if sum(len(batch.points) for batch in state.batches) < _SAMPLES_PER_COEFFICIENT * (n + 1) * (n + 2) / 2:
            return estimate, state
        step = to_minimum(objective, estimate, model)
        if step is None or float(torch.linalg.vector_norm(step)) > _SETTLED_STEP * state.sigma:
            return self._not_yet(estimate, state, noisy=exceeds, curved=step is not None)
        shift = state.sigma * kernel_shift(objective, estimate, reweight(state.batches, estimate.x, state.sigma))
        own = state.sigma * uncertainty(objective, estimate, model)
        state = evolve(state, undetermined=0)
        found = (*state.minima, torch.stack([objective.project(estimate.x + step), shift, own]))
        if len(found) < _MINIMA:
            return estimate, evolve(state, minima=found, seed=None, batches=(), lowest=None)
        mean = torch.stack(found).mean(0)[0]
        return moved_to(estimate, mean), evolve(state, minima=found)

    @staticmethod
    def _not_yet(
        estimate: Estimate, state: HistoryState, *, noisy: bool, curved: bool
    ) -> tuple[Estimate, HistoryState]:
        """If no minimum is found: continue, raise sigma, or end because noise hides it."""
        if not curved and state.undetermined >= MAX_HIDDEN:
            return evolve(estimate, status=Status.UNSURE, note=_HIDDEN), state
        state = evolve(state, undetermined=0 if curved else state.undetermined + 1)
        if not noisy or (curved and _has_slope(estimate)):
            return estimate, state
        return estimate, evolve(
            state, sigma=min(SIGMA_GROWTH * state.sigma, max(_MAX_HELD_SIGMA * state.first, state.sigma))
        )


_HIDDEN = "noise hides the curvature in some direction: the values do not determine all parameters"


def _errors(model: Fit, seen: Reweighted) -> Tensor:
    """Standard errors of the coefficients."""
    if model.overdetermined:
        return model.covariance().diagonal().clamp(min=0).sqrt()
    errors = torch.full_like(model.coefficients, torch.inf)
    # The mean needs fewer samples.
    errors[0] = (seen.weights.square() @ (seen.funs - seen.weights @ seen.funs).square()).sqrt()
    return errors


def _describe(x: Tensor, model: Fit, errors: Tensor, seen: Reweighted, state: HistoryState) -> Estimate:
    n, sigma = len(x), state.sigma
    (jac, hess), (jac_error, hess_error) = unpack(model.coefficients, n), unpack(errors, n)
    # Smoothing adds this to the value, by the curvature.
    blur = 0.5 * max(float(hess.trace()), 0.0)

    def predicted(step: Tensor) -> float:
        t = step / sigma
        return float(model.coefficients[0] + jac @ t + 0.5 * (t @ hess @ t)) - blur

    # Under noise the lowest sample is mostly the one with the lowest noise.
    lowest = None if state.stay or state.hold else state.lowest
    return Estimate(
        x=x,
        fun=float(model.coefficients[0]),
        fun_standard_error=float(errors[0]),
        jac=torch.zeros_like(jac) if state.stay else jac / sigma,
        standard_error=jac_error / sigma,
        hessian=lambda: Measurement(hess / sigma**2, hess_error / sigma**2),
        nfev=0,
        sigma=sigma,
        spread=float(seen.funs.std(correction=0)),
        lowest=None if lowest is None else Lowest(*lowest, predicted),
    )


def _ended(estimate: Estimate, state: HistoryState) -> Estimate:
    """End the run with error bars from the minima under several seeds."""
    assert state.floor.noise is not None
    assert state.top is not None
    if state.top - estimate.fun <= _FALL_ERRORS * math.sqrt(state.floor.noise):
        return evolve(estimate, status=Status.PLATEAU, note=ONLY_NOISE)
    minima, shifts, own = torch.stack(state.minima).unbind(1)
    # The square of a mean is too large by the variance of that mean.
    blurred = (shifts.mean(0).square() - shifts.var(0) / _MINIMA).clamp(min=0)
    # Methods other than Newton do not go to the mean of the minima.
    missed = (estimate.x - minima.mean(0)).square()
    # Four minima can agree by chance, but each has a standard error of its own.
    variance = torch.maximum(minima.var(0), own.square().mean(0)) / _MINIMA
    error = (variance + missed + blurred).sqrt()
    return evolve(estimate, x_standard_error=error, status=Status.NOISE_FLOOR)


def _has_slope(estimate: Estimate) -> bool:
    """Whether a component of the gradient exceeds its standard error clearly."""
    assert estimate.jac is not None
    assert estimate.standard_error is not None
    return bool((estimate.jac.abs() > _SLOPE_ERRORS * estimate.standard_error).any())
