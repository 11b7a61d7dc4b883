"""SmoothedHessian: Hessian of the Gaussian-smoothed objective."""

from __future__ import annotations

import functools
from typing import ClassVar

import numpy as np
import torch
from attrs import field, frozen
from torch import Tensor

from invopt.plugin import Estimate, Evaluator, Measurement, Order, SeedSource, one_of

from .smoothing import kernels
from .smoothing.curvature import CurvatureEstimator
from .smoothing.monte_carlo import evaluate, mean
from .smoothing.samplers import (
    GRADIENT_WEIGHT,
    HESSIAN_WEIGHT,
    AggregateHessianProposal,
    Proposal,
    UniformProposal,
    draw_hessian_elements,
    hessian_pairs,
)

__all__ = ["SmoothedHessian"]

_PROPOSALS: dict[str, Proposal | None] = {
    "optimal": None,
    "aggregate": AggregateHessianProposal(),
    "uniform": UniformProposal(),
}


@frozen(kw_only=True)
class SmoothedHessian(CurvatureEstimator):
    r"""Gradient and full Hessian of the smoothed objective, importance-sampled.

    The objective is smoothed by a Gaussian.

    Unbiased for :math:`\nabla^2 E[f(x - \tau)],\ \tau \sim N(0, \sigma^2 I)`. The paper's "OurH" with the optimal
    proposal. `jac` is that of `SmoothedGradient` with the same proposal, from separate samples.

    Parameters
    ----------
    proposal : {"optimal", "aggregate", "uniform"}, default "optimal"
        "optimal": each of the n (n + 1) / 2 elements has its own samples from its own kernel: eq. 21 on the diagonal,
        inverted exactly by Lambert's W, and a product of two of eq. 18 elsewhere;
        ``2 n_samples n (n + 1) / 2`` evaluations. "aggregate" (sec. 3.5) and "uniform": all elements share
        ``2 n_samples``. Without antithetic pairs half of that.

    Notes
    -----
    The kernel of the Hessian integrates to zero: a constant added to f adds noise but no bias. `SharedSamples` removes
    that noise.

    References
    ----------
    .. [1] Wang, Fischer, Ritschel, "Stochastic Gradient Estimation for Higher-order Differentiable Rendering",
       ICCV 2025, eq. 20-21, sec. 3.3 and 3.5.
    """

    provides: ClassVar[Order] = Order.FUN | Order.JAC | Order.HESS | Order.HESSP

    proposal: str = field(default="optimal", validator=one_of(*_PROPOSALS))

    def hess_cost(self, n: int) -> int:
        """Evaluations of the Hessian."""
        return self.copies * self.n_samples * (n * (n + 1) // 2 if self.proposal == "optimal" else 1)

    def _sample(
        self, objective: Evaluator, x: Tensor, sigma: float, rng: np.random.Generator, seeds: SeedSource
    ) -> Estimate:
        contributions, parts = self._gradient().draw(objective.n, sigma, rng, seeds).evaluate(objective, x)
        elements = functools.cache(lambda: self._elements(objective, x, sigma, rng, seeds))
        return self._record(
            x,
            sigma,
            parts,
            mean(parts.even),
            mean(contributions),
            hessian=lambda: self._hessian(elements(), objective.n),
            # Elements that share samples are correlated, so that errors of products do not follow from their own.
            product=None if self.proposal == "optimal" else lambda p: mean(elements() @ p),
        )

    def _hessian(self, contributions: Tensor, n: int) -> Measurement:
        return _symmetric(mean(contributions), n) if self.proposal == "optimal" else mean(contributions)

    def _elements(
        self, objective: Evaluator, x: Tensor, sigma: float, rng: np.random.Generator, seeds: SeedSource
    ) -> Tensor:
        """Contributions to the Hessian: (m, n, n), or (m, n (n + 1) / 2) if "optimal"."""
        n, m = objective.n, self.n_samples
        proposal = _PROPOSALS[self.proposal]
        t = draw_hessian_elements(rng, m, n).view(-1, n) if proposal is None else proposal.draw(rng, m, n)
        seed = seeds.draw(t.shape[0], self.copies)
        even = evaluate(objective, x, sigma * t, seed, antithetic=self.antithetic).even
        if proposal is not None:
            weight = even / (proposal.density(t) * sigma**2)
            return weight.view(-1, 1, 1) * kernels.hessian(t)
        return _element_contributions(t.view(-1, m, n), even.view(-1, m)) / sigma**2


def _element_contributions(t: Tensor, even: Tensor) -> Tensor:
    """Contributions (m, n (n + 1) / 2) from separate draws for each element."""
    rows, columns = (torch.from_numpy(index) for index in hessian_pairs(t.shape[2]))
    element = torch.arange(rows.numel())
    first, second = t[element, :, rows], t[element, :, columns]
    diagonal = torch.sign(first.square() - 1) * HESSIAN_WEIGHT
    off = torch.sign(first * second) * GRADIENT_WEIGHT**2
    return (even * torch.where((rows == columns).unsqueeze(1), diagonal, off)).T


def _symmetric(upper: Measurement, n: int) -> Measurement:
    """Full symmetric matrix from its upper triangle."""

    def full(elements: Tensor) -> Tensor:
        rows, columns = (torch.from_numpy(index) for index in hessian_pairs(n))
        matrix = elements.new_zeros((n, n))
        matrix[rows, columns] = elements
        matrix[columns, rows] = elements
        return matrix

    return Measurement(full(upper.value), lambda: full(upper.standard_error))
