"""SPSA: simultaneous perturbation stochastic approximation."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from attrs import frozen
from torch import Tensor

from invopt.plugin import Estimate, Evaluator, Order, SeedSource

from .smoothing.monte_carlo import evaluate, mean
from .smoothing.sampled import SampledEstimator

__all__ = ["SPSA"]


@frozen(kw_only=True)
class SPSA(SampledEstimator):
    r"""Gradient by differences along random directions whose entries are -1 or 1.

    With a direction :math:`\Delta \in \{-1, 1\}^n` [1]_,

    .. math:: \hat g_i = \frac{f(x + \sigma \Delta) - f(x - \sigma \Delta)}{2 \sigma \Delta_i},

    averaged over `n_samples` directions; without antithetic pairs the one-measurement form
    :math:`f(x + \sigma \Delta) / (\sigma \Delta_i)` [2]_. The mean of component i is the central difference with step
    sigma of f, averaged over :math:`\pm \sigma` in the other components.

    One call costs ``2 n_samples`` evaluations, ``n_samples`` without antithetic pairs. `sigma` is the length of a
    perturbation in each coordinate, Spall's c.

    References
    ----------
    .. [1] Spall, "Multivariate stochastic approximation using a simultaneous perturbation gradient approximation",
       IEEE Trans. Automatic Control 37(3), 1992.
    .. [2] Spall, "A one-measurement form of simultaneous perturbation stochastic approximation", Automatica 33, 1997.
    """

    provides: ClassVar[Order] = Order.FUN | Order.JAC

    def _sample(
        self, objective: Evaluator, x: Tensor, sigma: float, rng: np.random.Generator, seeds: SeedSource
    ) -> Estimate:
        m = self.n_samples
        direction = torch.from_numpy(2.0 * rng.integers(0, 2, (m, objective.n)) - 1.0)
        parts = evaluate(objective, x, -sigma * direction, seeds.draw(m, self.copies), antithetic=self.antithetic)
        # The reciprocal of +-1 is itself.
        jac = mean(parts.odd.unsqueeze(1) * direction / sigma)
        return self._record(x, sigma, parts, mean(parts.even), jac)
