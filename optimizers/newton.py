"""Newton: exact minimiser of the quadratic model inside a trust radius."""

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

# Ratios of the decrease to the predicted one below which the radius shrinks and above which it grows, and its factors
# (Nocedal and Wright, algorithm 4.1) ...
_POOR, _GOOD, _SHRINK, _GROW = 0.25, 0.75, 0.25, 2.0
# ... and above which a step is taken: eta in [0, 1/4) there.
# Measured (tests/benchmarks/constants.py): no influence within 2 % with 1e-05 and 0.001.
_TAKEN = 1e-4
# Share of the radius from which a step counts as one to the boundary: the solver reaches it to 1e-13.
_AT_BOUNDARY = 0.99
_EPS = float(np.finfo(np.float64).eps)
# Differences of values below this multiple of their size are rounding: that of some ten operations.
_VALUE_ROUNDING = 10 * _EPS


class NewtonState(NamedTuple):
    """Present trust radius, and whether no lower point was found."""

    radius: float
    failed: bool = False


@frozen(kw_only=True)
class Newton(Optimizer):
    r"""Steps to the minimum of the quadratic model inside a ball [1]_.

    This is eq. 3 of [1]_, bounded.

    For up to some hundred parameters, with an estimator that provides a Hessian.

    Parameters
    ----------
    trust_radius : float, default 1
        Longest step, > 0, in sigmas (in units of `x_scale` if nothing is smoothed).
    max_trust_radius : float, optional
        For exact values: if nothing is smoothed, the radius adapts to the quality of the model's predictions [2]_. It
        starts at `trust_radius` and never exceeds this, which must not be smaller. Every trial costs an estimate; that
        of the step taken is reused. By default the radius is fixed.

    Raises
    ------
    TypeError, ValueError
        If a radius is not a positive number, or the largest is below the first.

    See Also
    --------
    NewtonCG : needs products only, for many parameters.

    Notes
    -----
    If the Hessian is not positive definite, or the Newton step is too long, the step is the exact minimiser of the
    model over the ball. It lies on the boundary and uses negative curvature. A saddle with a gradient of exactly 0 is
    not left. The radius is fixed by default, because sigma says how far the model is valid and ratios of noisy values
    are not reliable. Parameters pressed against a bound are held there. A step takes one
    eigendecomposition, O(n^3).

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
        """First radius, if it adapts; else None."""
        return None if self.max_trust_radius is None else NewtonState(self.trust_radius)

    def status(self, state: Any) -> Status:
        """LINE_SEARCH once no radius gives a lower point."""
        return Status.LINE_SEARCH if state is not None and state.failed else Status.RUNNING

    def step(self, x: Tensor, estimate: Estimate, state: Any, oracle: Oracle) -> tuple[Tensor, Any]:
        """Make one step.

        It costs no evaluation beyond the estimate's Hessian, unless the radius adapts.
        """
        jac, free = free_gradient(x, gradient(estimate), oracle)
        if not bool(jac.any()):
            return x, state
        if state is not None and estimate.sigma == 0.0 and not estimate.partial:
            return self._trusted(x, jac, free, estimate, oracle, state.radius)
        radius = self.trust_radius * unit(estimate)
        return _model_step(x, jac, free, estimate, oracle, radius), state

    def _trusted(
        self, x: Tensor, jac: Tensor, free: Tensor | None, estimate: Estimate, oracle: Oracle, radius: float
    ) -> tuple[Tensor, NewtonState]:
        """Shrink the radius until the decrease is as predicted; also the next radius."""
        longest, whole = self.max_trust_radius or radius, gradient(estimate)
        shortest, slack = _EPS * max(1.0, float(torch.linalg.vector_norm(x))), _VALUE_ROUNDING * abs(estimate.fun)
        while radius > shortest:
            target = _model_step(x, jac, free, estimate, oracle, radius)
            step = target - x
            length = float(torch.linalg.vector_norm(step))
            predicted = float(whole @ step + 0.5 * (step @ estimate.hess @ step))
            if length == 0.0:
                break
            share = _share(_value(target, oracle) - estimate.fun, predicted, slack)
            # After a failed step, the rounding allowance must not accept shorter ones.
            slack = 0.0
            if not share >= _POOR:
                radius = _SHRINK * length
            elif share > _GOOD and length >= _AT_BOUNDARY * radius:
                radius = min(_GROW * radius, longest)
            if share > _TAKEN:
                return target, NewtonState(radius)
        return x, NewtonState(radius, failed=True)


def _model_step(
    x: Tensor, jac: Tensor, free: Tensor | None, estimate: Estimate, oracle: Oracle, radius: float
) -> Tensor:
    """Point to which the model leads."""
    hess = estimate.hess
    step = on_free(partial(solve_ball, radius=radius), jac, hess, free)
    return step_into_box(x, step, jac, lambda p: hess @ p, oracle)[0]


def _value(x: Tensor, oracle: Oracle) -> float:
    """Value at a trial point; inf if it is not finite."""
    try:
        return oracle.estimate(x).fun
    except NonFiniteError:
        return math.inf


def _share(change: float, predicted: float, slack: float) -> float:
    """Ratio of the change to the predicted one; 1 if both are within rounding."""
    expected = predicted - slack
    return (change - slack) / expected if expected < 0 else -math.inf
