"""ValueKriging: a model of the value from every evaluation so far."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from attrs import evolve, field, frozen, validators
from numpy.typing import NDArray
from torch import Tensor

from invopt.exceptions import NonFiniteError
from invopt.plugin import (
    Capability,
    Estimate,
    Estimator,
    Evaluator,
    Incumbent,
    Order,
    Problem,
    SeedPolicy,
    SeedSource,
    real,
)

from .design import first_points
from .kernel import Metric
from .value_emulator import emulate

__all__ = ["ValueKriging"]

Array = NDArray[np.float64]

# Samples that a model is fitted to, those nearest to the present point: this many, and this many for each parameter.
_NEAREST, _NEAREST_EACH = 20, 10


@frozen(kw_only=True, eq=False)
class ValueKrigingState:
    """Samples and their seed; points are in units of `sigma`."""

    sigma: float
    points: Array | None = None
    values: Array = field(factory=lambda: np.empty(0))
    seed: int = 0


@frozen(kw_only=True)
class ValueKriging(Estimator):
    """`fun` and `value_model` of any function, by universal kriging.

    For evaluations that take long, of few parameters, where only values are known. One evaluation an estimate, after
    n + 1 for the first. The value is a sample of a Gaussian process over x with a constant and linear trend and a
    Gaussian kernel, whose length is chosen by restricted likelihood, from the evaluations nearest to the present point.

    Parameters
    ----------
    sigma : float, optional
        Typical distance, in units of `x_scale`, > 0, over which values change: the first points are one sigma apart. By
        default the problem's `sigma`.
    seeds : SeedPolicy or str, default "per_pair"
        All samples share one seed, so that noise which depends on the seed only cancels in their differences. With
        "fresh" each has its own, and the nugget describes the noise.

    See Also
    --------
    invopt.optimizers.LowerBound : the method for this estimator.
    Kriging : for residuals, of which there are many, needs fewer evaluations.

    References
    ----------
    .. [1] Jones, Schonlau, Welch, "Efficient Global Optimization of Expensive Black-Box Functions", J. Global Optim.
       13, 1998.

    Examples
    --------
    >>> import invopt
    >>> problem = invopt.problems.Quadratic()
    >>> res = invopt.minimize(problem, "value-kriging", "lower-bound", rng=0, maxfev=50)
    >>> bool(abs(res.x).max() < 1e-1)
    True
    """

    provides: ClassVar[Order] = Order.FUN | Order.VALUE_MODEL
    unbiased: ClassVar[bool] = False

    sigma: float | None = field(default=None, validator=validators.optional(real(above=0)))

    def why_not(self, problem: Problem) -> str:
        """Why it cannot serve a network: samples for one input say nothing of another."""
        return "evaluations for one input of a network say nothing of another" * (Capability.CHAIN in problem.provides)

    def init(self, problem: Problem) -> ValueKrigingState:
        """State before the first estimate."""
        return ValueKrigingState(sigma=problem.sigma if self.sigma is None else self.sigma)

    def cost(self, n: int) -> int:
        """Evaluations of the first estimate."""
        return n + 1

    def next_cost(self, n: int, state: ValueKrigingState) -> int:
        """Most evaluations of the next estimate."""
        return self.cost(n) if state.points is None else 1

    def estimate(
        self, objective: Evaluator, x: Tensor, state: ValueKrigingState, rng: np.random.Generator
    ) -> tuple[Estimate, ValueKrigingState]:
        """Estimate at `x`, which is evaluated unless it was before."""
        before, begins = objective.nfev, state.points is None
        if state.points is None:
            state = self._designed(objective, x, state, rng)
        elif not _places(state, x).size:
            state = self._added(objective, x, state, rng)
        assert state.points is not None
        metric = Metric(objective.periods.numpy() / state.sigma)
        here = int(_places(state, x)[0])
        distances = metric.squares(state.points, state.points[here][None])[..., 0].sum(0)
        kept = np.sort(np.argsort(distances, kind="stable")[: _NEAREST + _NEAREST_EACH * objective.n])
        with np.errstate(all="ignore"):
            model = emulate(state.points, state.values, kept, metric, state.sigma)
        best = int(np.argmin(state.values))
        incumbent = Incumbent(torch.from_numpy(model.points[best]), float(state.values[best]))
        estimate = Estimate(
            x=x,
            fun=float(state.values[here]),
            nfev=objective.nfev - before,
            value_model=model,
            # The first row of the history is the start.
            incumbent=None if begins else incumbent,
        )
        return estimate, state

    def _designed(
        self, objective: Evaluator, x: Tensor, state: ValueKrigingState, rng: np.random.Generator
    ) -> ValueKrigingState:
        """Evaluate `x` and one point a sigma away along each parameter, inside the bounds."""
        objective.check_budget(objective.n + 1)
        points, sigma = first_points(objective, x, state.sigma, rng)
        seeds = SeedSource(self.seeds, rng).compare(len(points))
        values = _finite(objective.fun(points, seed=seeds, keep_inf=True).double().numpy())
        if values is None:
            raise NonFiniteError("no value near the start is finite: start elsewhere, or bound the parameters")
        return evolve(state, sigma=sigma, points=points.numpy() / sigma, values=values, seed=int(seeds[0]))

    def _added(
        self, objective: Evaluator, x: Tensor, state: ValueKrigingState, rng: np.random.Generator
    ) -> ValueKrigingState:
        """Evaluate `x`."""
        assert state.points is not None
        fresh = self.seeds is SeedPolicy.FRESH
        seed = SeedSource(self.seeds, rng).draw(1) if fresh else np.array([state.seed])
        value = float(objective.fun(x[None], seed=seed, keep_inf=True)[0])
        values = _finite(np.append(state.values, value))
        assert values is not None
        return evolve(state, points=np.vstack([state.points, x.numpy() / state.sigma]), values=values)


def _places(state: ValueKrigingState, x: Tensor) -> NDArray[np.intp]:
    """Numbers of the samples at a point."""
    assert state.points is not None
    return np.flatnonzero(np.all(state.points == x.numpy() / state.sigma, axis=1))


def _finite(values: Array) -> Array | None:
    """Values in which the highest finite one stands for failures.

    None if none is finite.
    """
    good = np.isfinite(values)
    return np.where(good, values, values[good].max()) if good.any() else None
