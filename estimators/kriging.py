"""Kriging: a model of all residuals from every evaluation so far."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from attrs import evolve, field, frozen, validators
from torch import Tensor

from invopt.exceptions import NonFiniteError
from invopt.plugin import (
    Capability,
    Estimate,
    Estimator,
    Evaluator,
    Incumbent,
    Measurement,
    Order,
    Problem,
    SeedPolicy,
    SeedSource,
    Status,
    integer,
    real,
)

from .emulation.design import first_points
from .emulation.emulator import Emulator
from .emulation.kernel import Metric
from .emulation.samples import Samples
from .emulation.universal_kriging import krige, neighbours

__all__ = ["Kriging"]

# Share of the samples that must have succeeded for a run to go on after another failure.
_LEAST_SUCCEEDED = 0.5
# Samples that a model of plain vectors is fitted to, this many for each parameter and some more: those nearest to the
# best one. Pictures need all, for what moves in them is seen from afar. Of seven hard problems of Moré and Wild (seeds
# 1000 and 1001), 4 runs of 14 reach 1e-5 with all samples, 10 with 2 n + 6 and 10 with 3 n + 6.
_LOCAL, _LOCAL_MORE = 2, 6
# Relative slope, over a sigma, below which a gradient has a known error and may end a run.
_LEAST_SLOPE = 1e-6
_FEWER = "{} residuals do not determine {} parameters: this is one of many answers"


@frozen(kw_only=True, eq=False)
class KrigingState:
    """Samples, their seed, and what the last fit found.

    Attributes
    ----------
    sigma : float
        Unit of the kernel's length, in units of `x_scale`.
    samples : Samples or None
        Points and residuals; None before the first estimate.
    seed : int
        Seed that all samples share.
    lengths : tuple of float
        Lengths of the kernel to try next; empty for all.
    """

    sigma: float
    samples: Samples | None = None
    seed: int = 0
    lengths: tuple[float, ...] = ()


@frozen(kw_only=True)
class Kriging(Estimator):
    r"""`fun`, `jac`, `hess` and `model` of a mean of squares, by universal kriging.

    For problems that return residuals, such as the pixels of an image, with few parameters. One evaluation an estimate,
    after n + 1 for the first.

    All residuals are emulated together, from every evaluation so far: as samples of one Gaussian process over x, with a
    constant and linear trend and a Gaussian kernel [1]_ [2]_. They share the kernel, so that a few evaluations
    determine its length, by restricted likelihood. Only inner products of residual vectors are needed. Modelling
    residuals instead of their mean square is composite Bayesian optimization [3]_.

    Plain vectors are emulated from the 2 n + 6 samples nearest to the best one.

    Where the problem says that residuals are pictures (`Objective.image_shapes`), they are emulated at several levels:
    as they are, blurred, and sharpened. Seen coarsely, an object overlaps with where it belongs, so that no evaluation
    is spent on smoothing.

    Parameters
    ----------
    sigma : float, optional
        Typical distance, in units of `x_scale`, > 0, over which residuals change: the first points are one sigma apart,
        and lengths of the kernel from half of it to 32 are tried. By default the problem's `sigma`.
    max_samples : int, default 200
        Largest number of samples kept, at least 2; at least 2 n + 2 are kept. Beyond it, the samples farthest from the
        best one are dropped.
    seeds : SeedPolicy or str, default "per_pair"
        All samples share one seed, so that noise which depends on the seed only cancels in their differences. With
        "fresh" each has its own, and the nugget describes the noise.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range.

    Notes
    -----
    The kernel is periodic in parameters that have a period, and these have no trend. With several parameters, a sum of
    functions of one parameter each is tried as well.

    An estimate at a point that has been evaluated costs nothing. A point where the evaluation fails counts as one with
    the worst residuals so far.

    See Also
    --------
    invopt.optimizers.LeastSurprise : the method for this estimator.
    SparseGaussNewton : for thousands of parameters, each of which changes few residuals.

    References
    ----------
    .. [1] Matheron, "The intrinsic random functions and their applications", Adv. Appl. Probab. 5(3), 1973.
    .. [2] Rasmussen, Williams, "Gaussian Processes for Machine Learning", 2006, ch. 2.7 and 5.4.
    .. [3] Astudillo, Frazier, "Bayesian Optimization of Composite Functions", ICML 2019.

    Examples
    --------
    >>> import invopt
    >>> problem = invopt.problems.Function(fun=lambda x: [x[0] ** 2 - 2, x[0] - x[1]], x0=[1.0, 1.0], residuals=True)
    >>> res = invopt.minimize(problem, "kriging", "least-surprise", rng=0, maxfev=60)
    >>> bool(abs(res.x - 2**0.5).max() < 1e-3)
    True
    """

    provides: ClassVar[Order] = Order.FUN | Order.JAC | Order.HESS | Order.HESSP | Order.MODEL
    needs: ClassVar[Capability] = Capability.FUN | Capability.RESIDUALS
    unbiased: ClassVar[bool] = False

    sigma: float | None = field(default=None, validator=validators.optional(real(above=0)))
    max_samples: int = field(default=200, validator=integer(2))

    def why_not(self, problem: Problem) -> str:
        """Why it cannot serve a network: samples for one input say nothing of another."""
        if Capability.CHAIN in problem.provides:
            return "evaluations for one input of a network say nothing of another; use 'gauss-newton'"
        return ""

    def init(self, problem: Problem) -> KrigingState:
        """State before the first estimate."""
        return KrigingState(sigma=problem.sigma if self.sigma is None else self.sigma)

    def cost(self, n: int) -> int:
        """Evaluations of the first estimate."""
        return n + 1

    def next_cost(self, n: int, state: KrigingState) -> int:
        """Most evaluations of the next estimate."""
        return self.cost(n) if state.samples is None else 1

    def estimate(
        self, objective: Evaluator, x: Tensor, state: KrigingState, rng: np.random.Generator
    ) -> tuple[Estimate, KrigingState]:
        """Estimate at `x`, which is evaluated unless it was before."""
        before, begins = objective.nfev, state.samples is None
        if state.samples is None:
            state = self._designed(objective, x, state, rng)
        elif state.samples.index_of(x.numpy() / state.sigma) is None:
            state = self._added(objective, x, state, rng)
        assert state.samples is not None
        metric = Metric(objective.periods.numpy() / state.sigma)
        here = state.samples.index_of(x.numpy() / state.sigma)
        assert here is not None
        kept = samples = state.samples.nearest(max(self.max_samples, 2 * objective.n + 2), metric, here)
        if not samples.shapes:
            here = samples.index_of(x.numpy() / state.sigma)
            assert here is not None
            samples = samples.nearest(_LOCAL * objective.n + _LOCAL_MORE, metric, here)
        with np.errstate(all="ignore"):
            kriged = krige(samples.points, samples.grams, metric, state.lengths, secant=not samples.shapes)
        model = Emulator(
            kriged=kriged,
            levels=samples.levels,
            numbers=samples.numbers,
            cells=samples.cells,
            unit=state.sigma,
            shapes=samples.shapes,
        )
        state = evolve(state, samples=kept, lengths=neighbours(kriged))
        with np.errstate(all="ignore"):
            estimate = _described(x, model, samples, state.sigma)
        # The first row of the history is the start.
        incumbent = None if begins else estimate.incumbent
        return evolve(estimate, nfev=objective.nfev - before, incumbent=incumbent), state

    def _designed(self, objective: Evaluator, x: Tensor, state: KrigingState, rng: np.random.Generator) -> KrigingState:
        """Evaluate `x` and one point a sigma away along each parameter, inside the bounds."""
        n = objective.n
        objective.check_budget(n + 1)
        points, sigma = first_points(objective, x, state.sigma, rng)
        seeds = SeedSource(self.seeds, rng).compare(n + 1)
        residuals = objective.residuals(points, seed=seeds).double().numpy()
        with np.errstate(over="ignore"):
            # Squares may overflow though residuals are finite.
            finite = np.isfinite(np.square(residuals).sum(1))
        if not finite[0]:
            raise NonFiniteError("the residuals at the start are not finite: start elsewhere, or bound the parameters")
        samples = Samples.of(objective.image_shapes, residuals.shape[1], n)
        for point, row in zip(points.numpy()[finite], residuals[finite], strict=True):
            samples = samples.with_one(point / sigma, row)
        return evolve(state, sigma=sigma, samples=samples, seed=int(seeds[0]))

    def _added(self, objective: Evaluator, x: Tensor, state: KrigingState, rng: np.random.Generator) -> KrigingState:
        """Evaluate `x`."""
        assert state.samples is not None
        objective.check_budget(1)
        fresh = self.seeds is SeedPolicy.FRESH
        seed = SeedSource(self.seeds, rng).draw(1) if fresh else np.array([state.seed])
        try:
            residuals = objective.residuals(x[None], seed=seed)[0].double().numpy()
        except NonFiniteError:
            # One failure is no reason to end; more failures than successes are.
            if state.samples.succeeded.mean() < _LEAST_SUCCEEDED:
                raise
            residuals = np.full(state.samples.m, math.nan)
        return evolve(state, samples=state.samples.with_one(x.numpy() / state.sigma, residuals))


def _described(x: Tensor, model: Emulator, samples: Samples, sigma: float) -> Estimate:
    """Estimate at `x` from a model."""
    m, point = samples.m, x.numpy()
    index = samples.index_of(point / sigma)
    assert index is not None
    jac, hess = (torch.from_numpy(2 * each / m) for each in model.gauss_newton(point))
    best = model.best
    failed = not samples.succeeded[index]
    square, error = float(model.squares[index, 0]), 2 * model.gradient_error(point) / m
    if float(jac.abs().max()) * sigma > _LEAST_SLOPE * square / m:
        # A gradient is small in small units too.
        error = np.full(len(point), math.inf)
    status = Status.RUNNING
    if square == 0.0:
        # Squares may be 0 though residuals are not.
        status = Status.UNSURE if bool(model.residuals(index).any()) else Status.CONVERGED
    return Estimate(
        x=x,
        fun=math.nan if failed else float(model.squares[index, 0]) / m,
        jac=jac,
        standard_error=torch.from_numpy(error),
        hessian=lambda: Measurement(hess, torch.full_like(hess, math.inf)),
        nfev=0,
        note=_FEWER.format(m, len(point)) if m < len(point) else "",
        status=status,
        model=model,
        incumbent=Incumbent(torch.from_numpy(model.points[best]), float(model.squares[best, 0]) / m),
    )
