"""Newton's method inside a trust radius."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from attrs import field, frozen, validators
from torch import Tensor

from invopt.exceptions import NonFiniteError
from invopt.plugin import Estimate, Optimizer, Oracle, Order, Status, on_free, real, require, solve_ball

from .descent.box import step_into_box
from .descent.steps import free_gradient, gradient, unit

__all__ = ["Newton"]

# Shares of the predicted decrease: a step is taken above the first; the radius shrinks below the second and grows above
# the third (Nocedal and Wright, algorithm 4.1).
_TAKEN, _POOR, _GOOD = 1e-4, 0.25, 0.75
_SHRINK, _GROW = 0.25, 2.0
# A step of this share of the radius counts as one to its bound.
_NEARLY = 0.99
_EPS = float(np.finfo(np.float64).eps)
# Differences of values below this multiple of their size are rounding.
_ROUNDING = 10 * _EPS


class NewtonState(NamedTuple):
    """Radius that follows the run, and whether no lower point was found."""

    radius: float
    failed: bool = False


@frozen(kw_only=True)
class Newton(Optimizer):
    r"""Steps to the minimum of the quadratic model inside a ball (eq. 3 of [1]_, bounded).

    Parameters
    ----------
    trust_radius : float, default 1
        Longest step, > 0, in sigmas (in units of `x_scale` where nothing is smoothed).
    max_trust_radius : float, optional
        For exact values: where nothing is smoothed, the radius follows how well the model predicts [2]_, from
        `trust_radius` on up to this, which is no less. Every trial costs an estimate; that of the step taken is used
        again. By default the radius is fixed.

    Raises
    ------
    TypeError, ValueError
        If a radius is not a positive number, or the longest is below the first.

    See Also
    --------
    NewtonCG : needs products only; for many parameters.

    Notes
    -----
    Where the Hessian is not positive definite, or the Newton step is too long, the step is the exact minimiser of the
    model over the ball, which lies on its boundary and uses negative curvature; a saddle with a gradient of exactly 0
    is not left. The radius is fixed by default: the samples' own width says how far the model holds, and no ratio of
    noisy values has to be trusted. Where an estimate remembers a sample lower than what the model promises, the step
    goes there, however far. Parameters pressed against a bound are held there. One eigendecomposition a step, O(n^3).

    References
    ----------
    .. [1] Wang, Fischer, Ritschel, "Stochastic Gradient Estimation for Higher-order Differentiable Rendering",
       ICCV 2025.
    .. [2] Nocedal, Wright, "Numerical Optimization", 2nd ed., 2006, algorithm 4.1.

    Examples
    --------
    >>> Newton(trust_radius=2.0)
    Newton(trust_radius=2.0, max_trust_radius=None)
    """

    requires: ClassVar[Order] = Order.JAC | Order.HESS

    trust_radius: float = field(default=1.0, validator=real(above=0))
    max_trust_radius: float | None = field(default=None, validator=validators.optional(real(above=0)))

    def __attrs_post_init__(self) -> None:
        longest = self.max_trust_radius
        least = f">= trust_radius = {self.trust_radius:g}"
        require("max_trust_radius", longest is None or longest >= self.trust_radius, least, longest)

    def init(self, x0: Tensor) -> Any:
        """The first radius, where it is to change."""
        return None if self.max_trust_radius is None else NewtonState(self.trust_radius)

    def status(self, state: Any) -> Status:
        """LINE_SEARCH once no radius gives a lower point."""
        return Status.LINE_SEARCH if state is not None and state.failed else Status.RUNNING

    def step(self, x: Tensor, estimate: Estimate, state: Any, oracle: Oracle) -> tuple[Tensor, Any]:
        """One step; costs no evaluation beyond the estimate's Hessian, unless the radius follows the run."""
        jac, free = free_gradient(x, gradient(estimate), oracle)
        if not bool(jac.any()):
            return x, state
        if state is not None and estimate.sigma == 0.0 and not estimate.partial:
            return self._trusted(x, jac, free, estimate, oracle, state.radius)
        radius = self.trust_radius * unit(estimate)
        return self._better(estimate, _model_step(x, jac, free, estimate, oracle, radius)), state

    def _trusted(
        self, x: Tensor, jac: Tensor, free: Tensor | None, estimate: Estimate, oracle: Oracle, radius: float
    ) -> tuple[Tensor, NewtonState]:
        """The step of a radius whose model predicts well enough, and the next radius."""
        longest, whole = self.max_trust_radius or radius, gradient(estimate)
        shortest, slack = _EPS * max(1.0, float(torch.linalg.vector_norm(x))), _ROUNDING * abs(estimate.fun)
        while radius > shortest:
            target = _model_step(x, jac, free, estimate, oracle, radius)
            step = target - x
            length = float(torch.linalg.vector_norm(step))
            predicted = float(whole @ step + 0.5 * (step @ estimate.hess @ step))
            if length == 0.0:
                break
            share = _share(_value(target, oracle) - estimate.fun, predicted, slack)
            # Once a step has failed, shorter ones must not pass for rounding.
            slack = 0.0
            if not share >= _POOR:
                radius = _SHRINK * length
            elif share > _GOOD and length >= _NEARLY * radius:
                radius = min(_GROW * radius, longest)
            if share > _TAKEN:
                return target, NewtonState(radius)
        return x, NewtonState(radius, failed=True)

    @staticmethod
    def _better(estimate: Estimate, target: Tensor) -> Tensor:
        """The lowest sample remembered, if it lies below what the model promises at `target`."""
        lowest = estimate.lowest
        if lowest is None or lowest.promised(target - estimate.x) <= lowest.fun:
            return target
        return lowest.x


def _model_step(
    x: Tensor, jac: Tensor, free: Tensor | None, estimate: Estimate, oracle: Oracle, radius: float
) -> Tensor:
    """Where the model leads."""
    hess = estimate.hess
    step = on_free(partial(solve_ball, radius=radius), jac, hess, free)
    return step_into_box(x, step, jac, lambda p: hess @ p, oracle)[0]


def _value(x: Tensor, oracle: Oracle) -> float:
    """Value at a trial, of which the estimate is kept for the next step; inf where it is not finite."""
    try:
        return oracle.estimate(x).fun
    except NonFiniteError:
        return math.inf


def _share(change: float, predicted: float, slack: float) -> float:
    """Change as a share of the predicted one, 1 where both are below what rounding does."""
    expected = predicted - slack
    return (change - slack) / expected if expected < 0 else -math.inf
