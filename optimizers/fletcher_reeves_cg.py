"""FletcherReevesCG: the paper's conjugate gradients, with one product a step."""

from __future__ import annotations

import math
from typing import Any, ClassVar, NamedTuple

import torch
from attrs import field, frozen
from torch import Tensor

from invopt.plugin import Estimate, Optimizer, Oracle, Order, integer, one_of, real, require

from .descent.box import step_into_box
from .descent.steps import free_gradient, gradient, unit

__all__ = ["FletcherReevesCG"]


class ConjugateState(NamedTuple):
    """Last direction v, residual r after it, r'r before it, steps since the restart."""

    direction: Tensor
    residual: Tensor
    square: float
    age: int


@frozen(kw_only=True)
class FletcherReevesCG(Optimizer):
    r"""Non-linear conjugate gradients with Hessian-vector products.

    Equations 4 to 7 of [1]_. Along the direction v the step is :math:`\alpha = -g^T v / v^T H v` (eq. 5); the next
    direction is :math:`v' = r' + \beta v,\ \beta = r'^T r' / r^T r` (Fletcher and Reeves [2]_), where r is the negative
    gradient.

    Parameters
    ----------
    restart : int, default 10
        Number of steps after which the direction is reset to steepest descent, >= 1 (the authors use 1-30).
    line_search_steps : int, default 1
        Newton-Raphson steps along one direction, 1-10. The first uses the present estimate; each further one costs an
        estimate at the point reached, and a product.
    trust_radius : float, default 1
        Longest step, > 0, in sigmas (in units of `x_scale` if nothing is smoothed).
    nonpositive_curvature : {"boundary", "unit"}, default "boundary"
        What to do if v'Hv <= 0. "boundary": go downhill along v to the trust radius. "unit": set it to 1, as the
        authors do; the step then depends on the scale of the objective, up to the trust radius, and is very short on a
        plateau of small values.
    residual : {"recompute", "recursive"}, default "recompute"
        "recompute": r is the negative of the new gradient, so that noise does not accumulate. "recursive": the
        recursion r - alpha H v between eq. 7 and 8, reset at restarts. Both agree on an exact quadratic.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range.

    See Also
    --------
    NewtonCG : several products a step, on one model; better if products cost nothing.

    Notes
    -----
    Differences from the paper: a direction that is not downhill by the present gradient, because of noise, or whose
    length is not finite, is replaced by steepest descent; parameters pressed against a bound are held there; and a step
    cut by bounds is followed by a restart.

    References
    ----------
    .. [1] Wang, Fischer, Ritschel, "Stochastic Gradient Estimation for Higher-order Differentiable Rendering",
       ICCV 2025.
    .. [2] Fletcher, Reeves, "Function minimization by conjugate gradients", Comput. J. 7(2), 1964.

    Examples
    --------
    >>> FletcherReevesCG(restart=5).residual
    'recompute'
    """

    requires: ClassVar[Order] = Order.JAC | Order.HESSP

    restart: int = field(default=10, validator=integer(1))
    line_search_steps: int = field(default=1, validator=integer(1))
    trust_radius: float = field(default=1.0, validator=real(above=0))
    nonpositive_curvature: str = field(default="boundary", validator=one_of("unit", "boundary"))
    residual: str = field(default="recompute", validator=one_of("recompute", "recursive"))

    def __attrs_post_init__(self) -> None:
        require("line_search_steps", self.line_search_steps <= 10, "<= 10", self.line_search_steps)

    def init(self, x0: Tensor) -> Any:
        """State without a direction."""
        return None

    def step(self, x: Tensor, estimate: Estimate, state: Any, oracle: Oracle) -> tuple[Tensor, Any]:
        """One step; costs a product, and more for further line search steps."""
        jac, free = free_gradient(x, gradient(estimate), oracle)
        if not bool(jac.any()):
            return x, None
        direction, residual, age = self._direction(jac, free, state)
        square = float(torch.dot(residual, residual))
        length = float(torch.linalg.vector_norm(direction))
        if length == 0.0:  # its square underflows
            return x, None
        limit = self.trust_radius * unit(estimate) / length
        t, here = 0.0, estimate
        for inner in range(self.line_search_steps):
            if inner > 0:
                here = oracle.estimate(x + t * direction)
            product = here.hessp(direction)
            slope = float(torch.dot(jac if inner == 0 else gradient(here), direction))
            moved = self._alpha(slope, float(torch.dot(direction, product)), limit)
            moved = min(max(t + moved, -limit), limit) - t
            t += moved
            residual = torch.sub(residual, product, alpha=moved)
            if abs(t) >= limit or moved == 0.0:
                break
        # If bounds cut the step, the model of the last estimate shortens it.
        new, cut = step_into_box(x, t * direction, jac, here.hessp, oracle)
        # A step that is cut by bounds is not along v, so that no later direction would be conjugate to it.
        return new, None if cut else ConjugateState(direction, residual, square, age + 1)

    def _direction(self, jac: Tensor, free: Tensor | None, state: ConjugateState | None) -> tuple[Tensor, Tensor, int]:
        """Direction v, residual r and steps since the restart."""
        if state is not None and state.age < self.restart and state.square > 0:
            residual = -jac if self.residual == "recompute" else state.residual
            beta = float(torch.dot(residual, residual)) / state.square
            direction = torch.add(residual, state.direction, alpha=beta)
            if free is not None:
                residual, direction = torch.where(free, residual, 0.0), torch.where(free, direction, 0.0)
            if -math.inf < float(torch.dot(jac, direction)) < 0:
                return direction, residual, state.age
        return -jac, -jac, 0

    def _alpha(self, slope: float, curvature: float, limit: float) -> float:
        """Newton-Raphson step along a direction with this slope and curvature (eq. 5)."""
        if curvature > 0:
            return -slope / curvature
        if self.nonpositive_curvature == "unit":
            return -slope
        # Beyond the trust radius from any point inside; the caller cuts it there.
        return math.copysign(2 * limit, -slope) if slope != 0 else 0.0
