"""SharedSamples: one set of samples for value and all derivatives."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from attrs import field, frozen
from torch import Tensor

from invopt.exceptions import NonFiniteError
from invopt.plugin import Estimate, Evaluator, Exponential, Measurement, Order, Schedule, SeedSource, integer, one_of

from .smoothing import kernels
from .smoothing.monte_carlo import Parts, evaluate, mean
from .smoothing.sampled import SampledEstimator
from .smoothing.samplers import AggregateGradientProposal, GaussianProposal, Proposal, SharedProposal

__all__ = ["SharedSamples"]

_PROPOSALS: dict[str, Proposal] = {
    "shared": SharedProposal(),
    "gaussian": GaussianProposal(),
    "aggregate": AggregateGradientProposal(),
}


@frozen(kw_only=True)
class SharedSamples(SampledEstimator):
    r"""`fun`, `jac`, `hess` and any number of products from one set of samples.

    For values only; unbiased, and without memory.

    With the analytic kernel weights (paper, eq. 17 and 20) every derivative is a weighted sum of the same values, so
    that the inner steps of a truncated Newton method cost no evaluation. The mean of the other samples' values is first
    subtracted from each value. The kernels of `hess` integrate to zero, so this does not change the mean of the
    estimate but removes the noise of a constant offset. All quantities are unbiased for those of
    :math:`E[f(x - \tau)],\ \tau \sim N(0, \sigma^2 I)`.

    One call costs ``2 n_samples`` evaluations with antithetic pairs, ``n_samples`` without; `hess` and products cost
    nothing.

    Parameters
    ----------
    n_samples : int, default 3
        Number of samples, or of antithetic pairs if `antithetic`; at least 2, because each is compared with the others.
    proposal : {"shared", "gaussian", "aggregate"}, default "shared"
        "shared": half Gaussian, half aggregate gradient. With "aggregate" alone the variance of `fun` and `hess` is
        infinite for n = 1.

    Notes
    -----
    Standard errors treat the samples as independent, although each is compared with the mean of the others. With two or
    three samples those of `hess` are about 10 to 15 % too small, those of `jac` without antithetic pairs up to a third;
    from ten samples on this is a few per cent.

    References
    ----------
    .. [1] Wang, Fischer, Ritschel, "Stochastic Gradient Estimation for Higher-order Differentiable Rendering",
       ICCV 2025, eq. 17-20: the kernels.
    """

    provides: ClassVar[Order] = Order.FUN | Order.JAC | Order.HESS | Order.HESSP
    # Measured (tests/benchmarks/constants.py): with 0.855 and 0.945, 23 % fewer and 86 % more evaluations to the
    # answer.
    default_schedule: ClassVar[Schedule] = Exponential(factor=0.9)

    n_samples: int = field(default=3, validator=integer(2))
    proposal: str = field(default="shared", validator=one_of(*_PROPOSALS))

    def _sample(
        self, objective: Evaluator, x: Tensor, sigma: float, rng: np.random.Generator, seeds: SeedSource
    ) -> Estimate:
        m = self.n_samples
        proposal = _PROPOSALS[self.proposal]
        t = proposal.draw(rng, m, objective.n)
        parts = evaluate(objective, x, sigma * t, seeds.draw(m, self.copies), antithetic=self.antithetic)
        t, weight, odd, even = _finite(t, 1.0 / proposal.density(t), parts)
        level = even.mean()
        # Turns the mean of all samples into the mean of all others.
        others = len(even) / (len(even) - 1)
        rise = weight * (even - level) * others
        slope = weight * (odd if self.antithetic else (odd - level) * others)
        fun = mean(level + rise)
        # Each contribution contains the mean of the others, so that deviations would otherwise count twice.
        fun = Measurement(fun.value, fun.standard_error / others)
        return self._record(
            x,
            sigma,
            parts,
            fun,
            mean(slope.unsqueeze(1) * kernels.gradient(t) / sigma),
            hessian=lambda: mean(rise.view(-1, 1, 1) * kernels.hessian(t) / sigma**2),
            product=lambda p: _product(t, rise, p, sigma),
        )


def _product(t: Tensor, rise: Tensor, p: Tensor, sigma: float) -> Measurement:
    k = rise.numel()
    value = ((rise * (t @ p)) @ t - rise.sum() * p) / (k * sigma**2)

    def error() -> Tensor:
        return mean(rise.unsqueeze(1) * kernels.hessian_product(t, p) / sigma**2).standard_error

    return Measurement(value, error)


def _finite(t: Tensor, weight: Tensor, parts: Parts) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Drop samples whose value is not finite; at least two must remain."""
    if math.isfinite(float(parts.even.sum())):
        return t, weight, parts.odd, parts.even
    keep = torch.isfinite(parts.even)
    if int(keep.sum()) < 2:
        raise NonFiniteError(f"{int(keep.sum())} of {keep.numel()} samples were finite, at least 2 are needed")
    return t[keep], weight[keep], parts.odd[keep], parts.even[keep]
