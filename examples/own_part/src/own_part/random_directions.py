"""Differences from the current point along random directions."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from attrs import field, frozen
from torch import Tensor

from invopt.exceptions import NonFiniteError
from invopt.plugin import (
    Estimate,
    Estimator,
    Evaluator,
    Exponential,
    Order,
    Problem,
    Schedule,
    SeedSource,
    as_schedule,
    instance,
    integer,
)

__all__ = ["RandomDirections"]


@frozen
class State:
    """Number of estimates made, and the sigma of the problem."""

    iteration: int
    sigma: float


@frozen(kw_only=True)
class RandomDirections(Estimator):
    r"""Gradient from forward differences along Gaussian directions.

    .. math:: \hat g = \frac{1}{M} \sum_{k=1}^M \frac{f(x + \sigma u_k) - f(x)}{\sigma} u_k, \qquad u_k \sim N(0, I),

    is an unbiased estimate of the gradient of f smoothed by a Gaussian of standard deviation sigma [1]_. All
    differences share the value f(x), so that an estimate costs M + 1 evaluations.

    Parameters
    ----------
    sigma : float or Schedule, default Exponential(factor=0.97, ratio=0.2)
        Standard deviation of the Gaussian, in units of `x_scale`, > 0. A schedule without a `start` begins at the
        `sigma` of the problem.
    n_samples : int, default 4
        Directions M in each estimate, at least 2.

    References
    ----------
    .. [1] Nesterov, Spokoiny, "Random gradient-free minimization of convex functions", Foundations of Computational
       Mathematics 17, 2017, sec. 3.
    """

    provides: ClassVar[Order] = Order.FUN | Order.JAC

    sigma: Schedule = field(
        default=Exponential(factor=0.97, ratio=0.2), converter=as_schedule, validator=instance(Schedule)
    )
    n_samples: int = field(default=4, validator=integer(2))

    def init(self, problem: Problem) -> State:
        """State before the first estimate."""
        return State(0, problem.sigma)

    def cost(self, n: int) -> int:
        """Evaluations of an estimate."""
        return self.n_samples + 1

    def estimate(
        self, objective: Evaluator, x: Tensor, state: State, rng: np.random.Generator
    ) -> tuple[Estimate, State]:
        """Estimate at `x`, and the next state."""
        sigma = min(self.sigma.at(state.iteration, state.sigma), objective.sigma_limit)
        directions = torch.from_numpy(rng.standard_normal((self.n_samples, objective.n)))
        points = torch.cat([x[None], x + sigma * directions])
        # One seed for all: noise that two values share drops out of their difference.
        values = objective.fun(points, seed=SeedSource(self.seeds, rng).compare(len(points)))
        slopes = (values[1:] - values[0])[:, None] * directions / sigma
        slopes = slopes[torch.isfinite(slopes).all(1)]  # without failed evaluations
        if len(slopes) < 2:
            raise NonFiniteError("fewer than two differences are finite: raise 'n_samples' or bound the parameters")
        estimate = Estimate(
            x=x,
            fun=float(values[0]),
            jac=slopes.mean(0),
            standard_error=slopes.std(0) / math.sqrt(len(slopes)),
            nfev=self.cost(objective.n),
            sigma=sigma,
            spread=float(values[torch.isfinite(values)].std()),
        )
        return estimate, State(state.iteration + 1, state.sigma)
