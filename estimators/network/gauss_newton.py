"""GaussNewton: derivatives of a mean square from a smoothed Jacobian."""

from __future__ import annotations

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
    Exponential,
    Measurement,
    Order,
    Problem,
    Schedule,
    SeedPolicy,
    SeedSource,
    Status,
    as_schedule,
    integer,
    without,
)

from ..least_squares.linear_fit import LinearFit, linear_fit
from .window import PROPOSAL, Batch, reweighted

__all__ = ["GaussNewton"]

# Newton's steps are as long as sigma is wide, so that sigma falls as fast as that of other second-order estimators.
_SCHEDULE = Exponential(factor=0.9)


@frozen(kw_only=True, eq=False)
class GaussNewtonState:
    """Number of estimates so far, the problem's sigma, and the window's samples.

    The samples share a seed, unless it is None.
    """

    iteration: int
    sigma: float
    batches: tuple[Batch, ...] = ()
    seed: int | None = None


@without(
    restarts="a descent that ends far above the noise ends the run with Status.MISMATCH; Kriging restarts",
    max_spp_factor="the end of a run is measured by replicates under other seeds",
)
@frozen(kw_only=True)
class GaussNewton(Estimator):
    r"""`fun`, `jac` and `hess` of a mean of squares from its smoothed Jacobian.

    For networks in front of a black box that returns residuals, such as the pixels of an image, and for comparisons.
    For parameters themselves, `Kriging` needs fewer evaluations.

    A linear function of x is fitted to the residuals r of the samples of the last estimates. Its value is the smoothed
    residual :math:`\bar r = E[r(x - \tau)]`, its slope the smoothed Jacobian J. The estimate is that of :math:`|\bar
    r|^2 / m`: gradient :math:`2 J^T \bar r / m`, Hessian :math:`2 J^T J / m`. Residuals have a sign, so n + 1 samples
    replace (n + 1)(n + 2) / 2 values. The minimum of the smoothed image's error is also closer to the answer than that
    of the smoothed error.

    Parameters
    ----------
    sigma : float or Schedule, optional
        Standard deviation of the smoothing kernel in units of the problem's `x_scale`, in (0, inf). A number stays
        constant. By default an exponential schedule starts at the problem's own `sigma`.
    n_samples : int, optional
        New antithetic pairs of an estimate, at least 1; by default n, whose directions are orthogonal.
    window : int, default 8
        Estimates whose samples are kept, at least 1; they are re-weighted to the present point.
    seeds : SeedPolicy or str, default "per_pair"
        With "per_pair" the whole window shares one seed, so that shared noise cancels in all differences within it;
        with ``window=1`` each estimate has its own. With "fresh" J contains the noise of the pixels.

    Notes
    -----
    If there are more samples than the n + 1 coefficients, J comes out too large: :math:`E|\hat J|^2 = |J|^2 + noise`.
    The sampling covariance of the fit is therefore subtracted from gradient and Hessian. With fewer, J is the slope of
    least norm and the Hessian is :math:`2 J^T J / m`, never indefinite. Networks are trained this way with
    `HessianFree`, ``window=1`` and one pair, at two renders an input.

    See Also
    --------
    Kriging : keeps all samples; for up to 200 parameters.
    SparseGaussNewton : for thousands of parameters, each of which changes few residuals.
    """

    provides: ClassVar[Order] = Order.FUN | Order.JAC | Order.HESS | Order.HESSP
    needs: ClassVar[Capability] = Capability.FUN | Capability.RESIDUALS
    unbiased: ClassVar[bool] = False

    sigma: Schedule | None = field(default=None, converter=as_schedule)
    n_samples: int | None = field(default=None, validator=validators.optional(integer(1)))
    window: int = field(default=8, validator=integer(1))

    def init(self, problem: Problem) -> GaussNewtonState:
        """State before the first estimate."""
        return GaussNewtonState(iteration=0, sigma=problem.sigma)

    def cost(self, n: int) -> int:
        """Evaluations of one estimate; the Hessian and products cost nothing."""
        return 2 * (n if self.n_samples is None else self.n_samples)

    def estimate(
        self, objective: Evaluator, x: Tensor, state: GaussNewtonState, rng: np.random.Generator
    ) -> tuple[Estimate, GaussNewtonState]:
        """Estimate at `x` from new samples and remembered ones."""
        schedule = _SCHEDULE if self.sigma is None else self.sigma
        sigma = min(schedule.at(state.iteration, state.sigma), objective.sigma_limit)
        objective.check_budget(self.cost(objective.n))
        batch, seed = self._sampled(objective, x, sigma, state.seed, rng)
        batches = (*state.batches, batch)[-self.window :]
        t, weights = reweighted(batches, x, sigma)
        found = linear_fit(t, weights, torch.cat([each.residuals for each in batches]))
        estimate = _mean_square(x, found, sigma, noisy=self.seeds is not SeedPolicy.FIXED)
        squares = batch.residuals.square().mean(1)
        # A mean of squares is never below 0.
        status = Status.RUNNING if bool(batch.residuals.any()) else Status.CONVERGED
        spread = float(squares.std(correction=0))
        estimate = evolve(estimate, nfev=self.cost(objective.n), spread=spread, status=status)
        return estimate, evolve(state, iteration=state.iteration + 1, batches=batches, seed=seed)

    def _sampled(
        self, objective: Evaluator, x: Tensor, sigma: float, seed: int | None, rng: np.random.Generator
    ) -> tuple[Batch, int | None]:
        """Samples around `x`, and the seed that the next ones share with them."""
        k = self.cost(objective.n)
        t = PROPOSAL.draw(rng, k // 2, objective.n)
        seeds = SeedSource(self.seeds, rng).compare(k) if seed is None else np.full(k, seed)
        # Points outside the bounds are projected before they are evaluated and fitted.
        points = objective.project(x + sigma * torch.cat([-t, t]))
        residuals = objective.residuals(points, seed=seeds).double()
        finite = torch.isfinite(torch.linalg.vector_norm(residuals, dim=1).square())
        if not bool(finite.any()):
            raise NonFiniteError("no sample was finite; raise n_samples or bound the parameters")
        shared = self.seeds is SeedPolicy.PER_PAIR and self.window > 1
        return Batch(x.clone(), sigma, points[finite], residuals[finite]), int(seeds[0]) if shared else None


def _mean_square(x: Tensor, found: LinearFit, sigma: float, *, noisy: bool) -> Estimate:
    """Value, gradient and Hessian of a mean square, corrected for noise."""
    m, influence = found.coefficients.shape[1], found.influence
    products, rests = found.coefficients @ found.coefficients.T, found.rest @ found.coefficients.T
    if found.overdetermined:
        products = products - found.excess()
    # Effect of each sample's deviation on the value, and on the gradient through slope and value.
    along, across = rests[:, 0], rests[:, 1:]
    moved = influence[1:] * along + influence[0] * across.T
    # Noise that all samples share is not in their spread; at the answer the residuals are that noise.
    shared = (found.coefficients[1:] * found.coefficients[0]).square().sum(1) if noisy else 0.0
    unknown = torch.full_like(x, torch.inf)
    jac_error = 2 * (moved.square().sum(1) + shared).sqrt() / (m * sigma) if found.overdetermined else unknown

    def hessian() -> Measurement:
        both = torch.einsum("ik,kj->kij", influence[1:], across) + torch.einsum("jk,ki->kij", influence[1:], across)
        scale = 2 / (m * sigma**2)
        return Measurement(scale * products[1:, 1:], scale * both.square().sum(0).sqrt())

    return Estimate(
        x=x,
        fun=max(0.0, float(products[0, 0]) / m),
        fun_standard_error=2 * float(torch.linalg.vector_norm(influence[0] * along)) / m,
        jac=2 * products[1:, 0] / (m * sigma),
        standard_error=jac_error,
        hessian=hessian,
        nfev=0,
        sigma=sigma,
    )
