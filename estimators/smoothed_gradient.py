"""SmoothedGradient: gradient of the Gaussian-smoothed objective."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from attrs import field, frozen
from torch import Tensor

from invopt.plugin import Estimate, Evaluator, Order, SeedSource, one_of

from .smoothing import kernels
from .smoothing.monte_carlo import Parts, evaluate, mean
from .smoothing.sampled import SampledEstimator
from .smoothing.samplers import (
    GRADIENT_WEIGHT,
    AggregateGradientProposal,
    Proposal,
    UniformProposal,
    draw_gradient_elements,
)

__all__ = ["GRADIENT_PROPOSALS", "GradientSampler", "SmoothedGradient"]

GRADIENT_PROPOSALS: dict[str, Proposal | None] = {
    "optimal": None,
    "aggregate": AggregateGradientProposal(),
    "uniform": UniformProposal(),
}


@frozen
class GradientSampler:
    """Draws of one gradient estimate, which can be used at several points.

    Parameters
    ----------
    t : Tensor, shape (k, n)
        Perturbations in units of sigma; with the optimal proposal, n blocks of m.
    proposal : Proposal or None
        Their density; None for the optimal proposal of each component.
    sigma : float
        Standard deviation of the kernel.
    seed : ndarray of int64
        Renderer seeds of all evaluations around one point.
    antithetic : bool
        Whether mirrored points are evaluated too.
    """

    t: Tensor
    proposal: Proposal | None
    sigma: float
    seed: np.ndarray[tuple[int], np.dtype[np.int64]]
    antithetic: bool

    def evaluate(self, objective: Evaluator, x: Tensor) -> tuple[Tensor, Parts]:
        """Contributions of shape (m, n) to the gradient at `x`, and their values."""
        parts = evaluate(objective, x, self.sigma * self.t, self.seed, antithetic=self.antithetic)
        if self.proposal is None:
            n = x.numel()
            own = torch.diagonal(self.t.view(n, -1, n), dim1=0, dim2=2)
            odd = parts.odd.view(n, -1).T
            return odd * torch.sign(own) * (-GRADIENT_WEIGHT / self.sigma), parts
        weight = parts.odd / (self.proposal.density(self.t) * self.sigma)
        return weight.unsqueeze(1) * kernels.gradient(self.t), parts


@frozen(kw_only=True)
class SmoothedGradient(SampledEstimator):
    r"""Gradient of the smoothed objective, importance-sampled.

    The objective is smoothed by a Gaussian in all dimensions.

    Unbiased for :math:`\nabla E[f(x - \tau)],\ \tau \sim N(0, \sigma^2 I)`; biased for :math:`\nabla f(x)` in general,
    exact in the mean if f is quadratic. The paper's "OurG" with the optimal proposal.

    Parameters
    ----------
    proposal : {"optimal", "aggregate", "uniform"}, default "optimal"
        "optimal": each component has its own samples from its own kernel (eq. 18); ``2 n_samples n`` evaluations.
        "aggregate": all components share samples from the average kernel (sec. 3.5); ``2 n_samples``. "uniform": all
        share samples from a cube of half-width 6 sigma; ``2 n_samples``. Without antithetic pairs half of that.

    Notes
    -----
    Needs only values of f, which may be discontinuous. The variance grows with the number of parameters (aggregate),
    and as ``1 / sigma**2`` if f is noisy. On plateaus wider than a few sigma the gradient is 0. `fun` is the mean over
    the samples: f smoothed by the proposal rather than by the Gaussian.

    References
    ----------
    .. [1] Wang, Fischer, Ritschel, "Stochastic Gradient Estimation for Higher-order Differentiable Rendering",
       ICCV 2025, eq. 17-18 and sec. 3.5.
    """

    provides: ClassVar[Order] = Order.FUN | Order.JAC

    proposal: str = field(default="optimal", validator=one_of(*GRADIENT_PROPOSALS))

    def cost(self, n: int) -> int:
        """Evaluations of one estimate."""
        return self.copies * self.n_samples * (n if self.proposal == "optimal" else 1)

    def draw(self, n: int, sigma: float, rng: np.random.Generator, seeds: SeedSource) -> GradientSampler:
        """Draw the perturbations and seeds of one estimate."""
        proposal = GRADIENT_PROPOSALS[self.proposal]
        m = self.n_samples
        t = draw_gradient_elements(rng, m, n).view(-1, n) if proposal is None else proposal.draw(rng, m, n)
        return GradientSampler(t, proposal, sigma, seeds.draw(t.shape[0], self.copies), self.antithetic)

    def _sample(
        self, objective: Evaluator, x: Tensor, sigma: float, rng: np.random.Generator, seeds: SeedSource
    ) -> Estimate:
        contributions, parts = self.draw(objective.n, sigma, rng, seeds).evaluate(objective, x)
        return self._record(x, sigma, parts, mean(parts.even), mean(contributions))
