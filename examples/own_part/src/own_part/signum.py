"""Steps by the sign of a running mean of the gradient."""

from __future__ import annotations

from typing import ClassVar

import torch
from attrs import field, frozen
from torch import Tensor

from invopt.plugin import Estimate, Optimizer, Oracle, Order, real

__all__ = ["Signum"]


@frozen(kw_only=True)
class Signum(Optimizer):
    r"""Steps by the sign of a running mean of the gradient [1]_.

    .. math:: m_t = \beta m_{t-1} + (1 - \beta) g_t, \qquad x_{t+1} = x_t - \gamma\, \mathrm{sign}(m_t)

    Only the signs count: the steps do not depend on the scale of the objective, and a few large errors of the gradient
    do no harm.

    Parameters
    ----------
    lr : float, default 0.1
        Step of each parameter, > 0, in units of the estimate's `sigma`, or of `x_scale` if nothing is smoothed.
    beta : float, default 0.9
        Decay of the running mean, in [0, 1).

    References
    ----------
    .. [1] Bernstein, Wang, Azizzadenesheli, Anandkumar, "signSGD: Compressed optimisation for non-convex problems",
       ICML 2018, algorithm 2.
    """

    requires: ClassVar[Order] = Order.JAC

    lr: float = field(default=0.1, validator=real(above=0))
    beta: float = field(default=0.9, validator=real(minimum=0, below=1))

    def init(self, x0: Tensor) -> Tensor:
        """The running mean, zero at first."""
        return torch.zeros_like(x0)

    def step(self, x: Tensor, estimate: Estimate, state: Tensor, oracle: Oracle) -> tuple[Tensor, Tensor]:
        """Next point and next running mean."""
        assert estimate.jac is not None  # `requires` holds JAC
        mean = self.beta * state + (1 - self.beta) * estimate.jac
        unit = estimate.sigma if estimate.sigma > 0 else 1.0
        return oracle.project(x - self.lr * unit * mean.sign()), mean
