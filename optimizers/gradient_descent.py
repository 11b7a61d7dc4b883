"""GradientDescent: steps against the gradient."""

from __future__ import annotations

from typing import Any

import torch
from attrs import field, frozen, validators
from torch import Tensor

from invopt.plugin import Estimate, Optimizer, Oracle, Schedule, real

from .descent.steps import check_rate, gradient, rate_at, shortened, unit

__all__ = ["GradientDescent"]

# Length of the first step, in sigmas. Longer ones are faster as long as they do not diverge.
# Measured (tests/benchmarks/constants.py): with 0.05 and 0.2, 99 % more and 49 % fewer evaluations to the answer; as
# many and 5 % fewer in all; 5 and 6 runs solved rather than 6 of 6.
_FIRST_STEP = 0.1


@frozen(kw_only=True)
class GradientDescent(Optimizer):
    r"""Steps against the gradient [1]_.

    The step is :math:`\theta^{t+1} = \theta^t - \gamma g(\theta^t)`.

    Parameters
    ----------
    lr : float or Schedule, optional
        Step per unit of gradient, > 0, in units of `x_scale`. By default the first step is a tenth of a sigma long (of
        a unit of `x_scale` if nothing is smoothed); a schedule without a `start` starts there too.
    max_step : float, optional
        Longest step, in sigmas (in units of `x_scale` if nothing is smoothed); None: no limit.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range.

    See Also
    --------
    Adam : needs no tuning to the scale of the objective.

    References
    ----------
    .. [1] Wang, Fischer, Ritschel, "Stochastic Gradient Estimation for Higher-order Differentiable Rendering",
       ICCV 2025, sec. 2, above eq. 2.

    Examples
    --------
    >>> GradientDescent(lr=0.1)
    GradientDescent(lr=0.1, max_step=None)
    """

    lr: float | Schedule | None = field(default=None, validator=validators.optional(check_rate))
    max_step: float | None = field(default=None, validator=validators.optional(real(above=0)))

    def init(self, x0: Tensor) -> Any:
        """State without steps: their number, and the rate of the first one."""
        return 0, None

    def step(self, x: Tensor, estimate: Estimate, state: Any, oracle: Oracle) -> tuple[Tensor, Any]:
        """One step; costs no evaluation."""
        count, first = state
        jac = gradient(estimate)
        if first is None:
            size = float(torch.linalg.vector_norm(jac))
            if size == 0.0:
                return x, state
            first = _FIRST_STEP * unit(estimate) / size
        step = -rate_at(self.lr, count, first, oracle.share) * jac
        if self.max_step is not None:
            step = shortened(step, self.max_step * unit(estimate))
        return oracle.project(x + step), (count + 1, first)
