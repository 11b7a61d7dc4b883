"""Newton's method inside a trust radius."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from attrs import field, frozen
from torch import Tensor

from invopt._estimator import Estimate, Order
from invopt._optimizer import Optimizer, Oracle
from invopt._validators import real

from .steps import free_gradient, gradient, unit
from .trust_region import solve_ball, step_into_box

__all__ = ["Newton"]


@frozen(kw_only=True)
class Newton(Optimizer):
    r"""Steps to the minimum of the quadratic model inside a ball (eq. 3 of [1]_, bounded).

    Parameters
    ----------
    trust_radius : float, default 1
        Longest step, > 0, in sigmas (in units of `x_scale` where nothing is smoothed).

    Raises
    ------
    TypeError, ValueError
        If `trust_radius` is not a positive number.

    See Also
    --------
    NewtonCG : needs products only; for many parameters.

    Notes
    -----
    Where the Hessian is not positive definite, or the Newton step is too long, the step is the exact minimiser of the
    model over the ball, which lies on its boundary and uses negative curvature; a saddle with a gradient of exactly 0
    is not left. The radius is fixed: the samples' own width says how far the model holds, and no ratio of noisy values
    has to be trusted. Where an estimate remembers a sample lower than what the model promises, the step goes there,
    however far. Parameters pressed against a bound are held there. One eigendecomposition a step, O(n^3).

    References
    ----------
    .. [1] Wang, Fischer, Ritschel, "Stochastic Gradient Estimation for Higher-order Differentiable Rendering",
       ICCV 2025.

    Examples
    --------
    >>> Newton(trust_radius=2.0)
    Newton(trust_radius=2.0)
    """

    requires: ClassVar[Order] = Order.JAC | Order.HESS

    trust_radius: float = field(default=1.0, validator=real(above=0))

    def init(self, x0: Tensor) -> Any:
        """No state."""
        return None

    def step(self, x: Tensor, estimate: Estimate, state: Any, oracle: Oracle) -> tuple[Tensor, Any]:
        """One step; costs no evaluation beyond the estimate's Hessian."""
        jac, free = free_gradient(x, gradient(estimate), oracle)
        if not bool(jac.any()):
            return x, state
        return self._better(estimate, self._model_step(x, jac, free, estimate, oracle)), state

    def _model_step(self, x: Tensor, jac: Tensor, free: Tensor | None, estimate: Estimate, oracle: Oracle) -> Tensor:
        """Where the model leads."""
        hess, radius = estimate.hess, self.trust_radius * unit(estimate)
        if free is None:
            step = solve_ball(jac, hess, radius)
        else:
            step = torch.zeros_like(jac)
            step[free] = solve_ball(jac[free], hess[free][:, free], radius)
        return step_into_box(x, step, jac, lambda p: hess @ p, oracle)[0]

    @staticmethod
    def _better(estimate: Estimate, target: Tensor) -> Tensor:
        """The lowest sample remembered, if it lies below what the model promises at `target`."""
        lowest = estimate.lowest
        if lowest is None or lowest.promised(target - estimate.x) <= lowest.fun:
            return target
        return lowest.x
