"""FR22: the gradient of plateau-reduced differentiable path tracing."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from attrs import frozen
from torch import Tensor

from invopt.plugin import Estimate, Evaluator, Order, SeedSource

from .smoothing.monte_carlo import evaluate, mean
from .smoothing.sampled import SampledEstimator
from .smoothing.samplers import GRADIENT_WEIGHT, signed_rayleigh

__all__ = ["FR22"]


@frozen(kw_only=True)
class FR22(SampledEstimator):
    r"""Gradient by the one-dimensional kernel in every dimension at once.

    Every component of the perturbation is drawn from :math:`|t| e^{-t^2/2} / 2`, which is optimal for the derivative in
    its own dimension (paper, eq. 28), so that one evaluation serves all components. Component i is the exact derivative
    of f smoothed by a Gaussian in dimension i and by that wider density in the others. For n = 1, or if f is a sum of
    functions of one parameter each, it equals the derivative of the Gaussian-smoothed objective.

    One call costs ``2 n_samples`` evaluations with antithetic pairs, ``n_samples`` without.

    See Also
    --------
    SmoothedGradient : the gradient of the fully Gaussian-smoothed objective.

    References
    ----------
    .. [1] Fischer, Ritschel, "Plateau-reduced Differentiable Path Tracing", CVPR 2023.
    .. [2] Wang, Fischer, Ritschel, "Stochastic Gradient Estimation for Higher-order Differentiable Rendering",
       ICCV 2025, eq. 18 and 28.
    """

    provides: ClassVar[Order] = Order.FUN | Order.JAC

    def _sample(
        self, objective: Evaluator, x: Tensor, sigma: float, rng: np.random.Generator, seeds: SeedSource
    ) -> Estimate:
        m = self.n_samples
        t = torch.from_numpy(signed_rayleigh(rng, (m, objective.n)))
        parts = evaluate(objective, x, sigma * t, seeds.draw(m, self.copies), antithetic=self.antithetic)
        jac = mean(parts.odd.unsqueeze(1) * torch.sign(t) * (-GRADIENT_WEIGHT / sigma))
        return self._record(x, sigma, parts, mean(parts.even), jac)
