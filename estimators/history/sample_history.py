"""Value, gradient and Hessian from the samples of the last iterations."""

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
from .model_minimum import kernel_shift, to_minimum, uncertainty, varies
from .noise_floor import ONLY_NOISE
from .regression import Fit, fit, quadratic, unpack
from .window import Reweighted, helpful, reweight

__all__ = ["SampleHistory"]

_MOST_PARAMETERS = 50
# Share of its first value at which a width is small.
_SMALL = 0.06
# Noise counts from this share of what values differ within the width.
_SWAMPS = 0.1
# A model's minimum within this share of the width is settled.
_SETTLED = 0.3
# Factor of a width at which noise hides the curvature, or moves the minimum.
_WIDER = 1.5
# Samples for each coefficient from which a minimum is believed.
_ENOUGH = 1.5
# Share of the first width up to which.
_WIDEST = 0.25
# Factor of the width at which noise was measured, from which it is measured again: two values may agree by chance.
_AGAIN = 0.25
# Samples of a full window for each coefficient.
_FILLED = 2.1
# Standard deviations of the noise by which values must have fallen for a minimum to be one.
_CERTAIN = 3.0
# Estimates in a row in which no minimum may be seen.
_PATIENCE = 32
# Seeds under which the minimum is found, for its spread to say how precise it is.
_REPEATS = 4


@frozen(kw_only=True)
class SampleHistory(HistoryEstimator):
    r"""`fun`, `jac` and `hess` from the samples of the last iterations, few of which are new.

    All samples of the window are re-weighted to the present point and width by the balance heuristic over the densities
    that they were drawn from, and a quadratic is fitted to them in the basis of Hermite polynomials, whose coefficients
    are the derivatives of :math:`E[f(x - \tau)],\ \tau \sim N(0, \sigma^2 I)`.

    Parameters
    ----------
    sigma, window, seeds
        As of every estimator with a history, see `HistoryEstimator`.
    n_samples : int, optional
        Antithetic pairs an iteration, at least 1; by default 2 for up to 4 parameters, and for more as many as make the
        window hold twice as many samples as there are coefficients.

    Raises
    ------
    ValueError
        For more than 50 parameters: the quadratic has (n + 1)(n + 2) / 2 coefficients.

    Notes
    -----
    Consistent, not unbiased: as the samples of a window grow in number K the error falls as :math:`1 / \sqrt K`, and
    the bias, which normalising the weights by their own sum brings, as 1 / K. On a quadratic there is no error at all
    once there are as many samples as coefficients. With fewer the coefficients are those of least norm: curvature that
    no sample shows is 0.

    The standard errors are those of least squares with unequal variances; they take the samples for independent, and
    noise that a whole window shares by its seed is not in them. They are infinite while the samples are no more than
    the coefficients.

    Under one seed a noisy function has a minimum of its own, which no width tells from the true one. Once the width has
    fallen to 6 %, two evaluations at each of two points a width apart, with two seeds, say how much noise there is, and
    four more whenever it has fallen to a quarter of that. As soon as what two such points do not share of it is a tenth
    of what values differ within the width, the width stays, and the minimum is found again under three more seeds, each
    with an empty window. The answer is the mean of the four; the error bars are its standard errors (three degrees of
    freedom) with what the width blurs, as far as a third derivative stands out of the noise; the run ends with
    `Status.NOISE_FLOOR`. Where values have fallen by no more than noise, it ends with `Status.PLATEAU` and without
    bars. A width at which noise hides the curvature grows again; if noise goes on to hide it in some direction, as in a
    bent valley or where a parameter does nothing, the end is `Status.UNSURE`, without bars. Without noise, or with
    noise that all points share under a seed, the width goes on to shrink, and the tolerances end the run.

    See Also
    --------
    GaussNewton : where residuals are known, fewer evaluations.
    SharedSamples : unbiased, without memory.
    """

    provides: ClassVar[Order] = Order.FUN | Order.JAC | Order.HESS | Order.HESSP

    n_samples: int | None = field(default=None, validator=validators.optional(integer(1)))  # type: ignore[assignment]

    def pairs(self, n: int) -> int:
        """Antithetic pairs of one estimate."""
        if self.n_samples is not None:
            return self.n_samples
        coefficients = (n + 1) * (n + 2) // 2
        return max(2, math.ceil(_FILLED * coefficients / (2 * self.window)))

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
        sigma, adaptive = state.sigma, isinstance(self.sigma, AdaptiveWidth)
        seen = reweight(state.batches, x, sigma)
        features, ridge = quadratic(seen.t)
        model = fit(features, ridge, seen.weights, seen.funs)
        errors = _errors(model, seen)
        state = self._stayed(state, self._is_plateau(seen.weights, seen.funs, state))
        state = evolve(state, batches=helpful(state.batches, seen))
        # What one seed says is not what the others do.
        partial = state.hold or (adaptive and state.floor.noise is None)
        estimate = evolve(_describe(x, model, errors, seen, state), partial=partial)
        if not adaptive or (not state.hold and sigma > _SMALL * state.first):
            return estimate, state
        if not state.stay and bool((seen.funs == seen.funs[0]).all()):
            # Lower than the start, and flat: the bottom of a step.
            return evolve(estimate, status=Status.CONVERGED), state
        if not state.hold and sigma <= _AGAIN * state.probed:
            state = self._with_noise(objective, state, rng)
        if not model.determined or state.floor.noise is None:
            return estimate, state
        return self._at_the_end(objective, estimate, model, state)

    def _with_noise(self, objective: Evaluator, state: HistoryState, rng: np.random.Generator) -> HistoryState:
        """With the noise measured, once more if it was before, unless a value was not finite.

        Where seeds do not vary, there is none.
        """
        if self.seeds is SeedPolicy.FIXED:
            return evolve(state, floor=evolve(state.floor, noise=0.0), probed=state.sigma)
        assert state.lowest is not None
        x, times = state.lowest.x, state.probes
        aside = state.sigma * torch.nn.functional.normalize(torch.from_numpy(rng.standard_normal(objective.n)), dim=0)
        points = objective.project(torch.stack([x, x + aside, x - aside]))
        # Of two points aside, the one that the bounds leave there.
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
        """The width is small: find the minimum under another seed, or say how far the minima lie apart."""
        assert state.floor.noise is not None
        swamped = math.sqrt(state.apart) > _SWAMPS * varies(objective, estimate.x, model)
        if not state.hold:
            return estimate, evolve(state, hold=swamped)
        if len(state.minima) == _REPEATS:
            return _ended(estimate, state), state
        n = objective.n
        if sum(len(batch.points) for batch in state.batches) < _ENOUGH * (n + 1) * (n + 2) / 2:
            return estimate, state
        step = to_minimum(objective, estimate, model)
        if step is None or float(torch.linalg.vector_norm(step)) > _SETTLED * state.sigma:
            return self._not_yet(estimate, state, swamped=swamped, curved=step is not None)
        blur = state.sigma * kernel_shift(objective, estimate, reweight(state.batches, estimate.x, state.sigma))
        own = state.sigma * uncertainty(objective, estimate, model)
        state = evolve(state, undetermined=0)
        found = (*state.minima, torch.stack([objective.project(estimate.x + step), blur, own]))
        if len(found) < _REPEATS:
            return estimate, evolve(state, minima=found, seed=None, batches=(), lowest=None)
        mean = torch.stack(found).mean(0)[0]
        return evolve(estimate, lowest=Lowest(mean, 0.0, lambda step: math.inf)), evolve(state, minima=found)

    @staticmethod
    def _not_yet(
        estimate: Estimate, state: HistoryState, *, swamped: bool, curved: bool
    ) -> tuple[Estimate, HistoryState]:
        """No minimum is seen: go on, look further, or find that noise hides it."""
        if not curved and state.undetermined >= _PATIENCE:
            return evolve(estimate, status=Status.UNSURE, note=_HIDDEN), state
        state = evolve(state, undetermined=0 if curved else state.undetermined + 1)
        if not swamped or (curved and _has_slope(estimate)):
            return estimate, state
        return estimate, evolve(state, sigma=min(_WIDER * state.sigma, max(_WIDEST * state.first, state.sigma)))


_HIDDEN = "noise hides the curvature in some direction: the values do not determine all parameters"


def _errors(model: Fit, seen: Reweighted) -> Tensor:
    """Standard errors of the coefficients."""
    if model.determined:
        return model.covariance().diagonal().clamp(min=0).sqrt()
    errors = torch.full_like(model.coefficients, torch.inf)
    # The mean can be told from fewer.
    errors[0] = (seen.weights.square() @ (seen.funs - seen.weights @ seen.funs).square()).sqrt()
    return errors


def _describe(x: Tensor, model: Fit, errors: Tensor, seen: Reweighted, state: HistoryState) -> Estimate:
    n, sigma = len(x), state.sigma
    (jac, hess), (jac_error, hess_error) = unpack(model.coefficients, n), unpack(errors, n)
    # What smoothing has added to the value where the curvature is this.
    blur = 0.5 * max(float(hess.trace()), 0.0)

    def promised(step: Tensor) -> float:
        t = step / sigma
        return float(model.coefficients[0] + jac @ t + 0.5 * (t @ hess @ t)) - blur

    # Under noise the lowest sample is the luckiest.
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
        lowest=None if lowest is None else Lowest(*lowest, promised),
    )


def _ended(estimate: Estimate, state: HistoryState) -> Estimate:
    """The end: how far the minima under several seeds lie apart, unless they are but noise."""
    assert state.floor.noise is not None
    assert state.top is not None
    if state.top - estimate.fun <= _CERTAIN * math.sqrt(state.floor.noise):
        return evolve(estimate, status=Status.PLATEAU, note=ONLY_NOISE)
    minima, blurs, own = torch.stack(state.minima).unbind(1)
    # Of the square of a mean, its own noise is no part.
    blurred = (blurs.mean(0).square() - blurs.var(0) / _REPEATS).clamp(min=0)
    # A method that does not go to their mean is off by the way to it.
    missed = (estimate.x - minima.mean(0)).square()
    # Four can agree by chance, but not better than each knows itself.
    variance = torch.maximum(minima.var(0), own.square().mean(0)) / _REPEATS
    error = (variance + missed + blurred).sqrt()
    return evolve(estimate, x_standard_error=error, status=Status.NOISE_FLOOR)


def _has_slope(estimate: Estimate) -> bool:
    """Whether a slope stands out of the noise, to be followed and not to be blurred."""
    assert estimate.jac is not None
    assert estimate.standard_error is not None
    return bool((estimate.jac.abs() > 2 * estimate.standard_error).any())
