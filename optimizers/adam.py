"""Adam: steps along a running mean of the gradient."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from attrs import field, frozen, validators
from torch import Tensor

from invopt.plugin import Estimate, Optimizer, Oracle, Schedule, as_real, real, require, shown

from .descent.steps import check_rate, gradient, rate_at

__all__ = ["Adam"]


# Default learning rates: of the weights of a network, Kingma and Ba's own ...
_NETWORK_RATE = 0.001
# ... as a share of sigma ...
# Measured (tests/benchmarks/constants.py): with 0.05 and 0.2, 56 % more and 26 % fewer evaluations to the answer; 1 and
# 6 runs solved rather than 4 of 6.
_RATE_IN_SIGMA = 0.1
# ... and, if nothing is smoothed, in units of `x_scale`.
# Measured (tests/benchmarks/constants.py): with 0.005 and 0.02, 113 % more and 49 % fewer evaluations to the answer; 3
# and 6 runs solved rather than 6 of 6.
_RATE = 0.01


class AdamState(NamedTuple):
    """Running moments of the gradient, and the steps taken."""

    mean: Tensor
    square: Tensor
    taken: int


def _pair(value: Any) -> tuple[float, float]:
    try:
        first, second = value
    except (TypeError, ValueError):
        raise ValueError(f"'betas' must be two numbers in [0, 1): {shown(value)}") from None
    betas = as_real("betas", first), as_real("betas", second)
    require("betas", all(0 <= beta < 1 for beta in betas), "two numbers in [0, 1)", value)
    return betas


@frozen(kw_only=True)
class Adam(Optimizer):
    r"""Steps along a running mean of the gradient, scaled by its root mean square [1]_.

    Parameters
    ----------
    lr : float, Schedule or None, default None
        Typical step of each parameter, > 0, in units of `x_scale`. None: a tenth of sigma, 0.01 if nothing is smoothed,
        or 0.001 [1]_ for the weights of a network. A schedule without a `start` multiplies that.
    betas : (float, float), default (0.9, 0.999)
        Decay of the mean and of the mean square, in [0, 1).
    eps : float, default 1e-8
        Added to the root mean square, >= 0. Gradients well below it are damped, so that the scale of the objective
        matters only there.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range.

    Notes
    -----
    The bias corrections, and the defaults of `betas` and `eps`, are those of algorithm 1 of [1]_. If the mean square
    is 0, so is the step.

    References
    ----------
    .. [1] Kingma, Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015. arXiv:1412.6980.

    Examples
    --------
    >>> Adam(lr=0.1).betas
    (0.9, 0.999)
    """

    lr: float | Schedule | None = field(default=None, validator=validators.optional(check_rate))
    betas: tuple[float, float] = field(default=(0.9, 0.999), converter=_pair)
    eps: float = field(default=1e-8, validator=real(minimum=0))

    def init(self, x0: Tensor) -> Any:
        """State without moments."""
        return AdamState(torch.zeros_like(x0), torch.zeros_like(x0), 0)

    def step(self, x: Tensor, estimate: Estimate, state: Any, oracle: Oracle) -> tuple[Tensor, Any]:
        """One step; costs no evaluation."""
        jac, (first, second) = gradient(estimate), self.betas
        taken = state.taken + 1
        mean = torch.lerp(state.mean, jac, 1 - first)
        # From here on in place, on tensors of this step only: for networks each pass over memory takes long.
        square = jac.square()
        torch.lerp(state.square, square, 1 - second, out=square)
        size = (square / (1 - second**taken)).sqrt_().add_(self.eps)
        if self.eps == 0:
            # A parameter that never had a gradient would give 0 / 0.
            size.masked_fill_(size == 0, 1.0)
        lr = rate_at(self.lr, state.taken, _default_rate(estimate), oracle.share)
        step = torch.div(mean, size, out=size).mul_(lr / (1 - first**taken))
        return oracle.project(torch.sub(x, step, out=step)), AdamState(mean, square, taken)


def _default_rate(estimate: Estimate) -> float:
    if estimate.unit is not None:
        return _NETWORK_RATE
    return _RATE_IN_SIGMA * estimate.sigma if estimate.sigma > 0 else _RATE
