"""BFGS: the quasi-Newton method with an inverse Hessian."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from attrs import field, frozen
from torch import Tensor

from invopt.plugin import Estimate, Oracle, real

from .descent.quasi_newton import Pair, QuasiNewton, Visit, curvature_pair, visit
from .descent.steps import free_gradient, gradient
from .line_search import ArmijoWolfe, LineSearch, check_search

__all__ = ["BFGS", "update_inverse"]


class BFGSState(NamedTuple):
    """Last visit, inverse Hessian (None at first), and whether the search failed."""

    last: Visit | None
    hess_inv: Tensor | None
    failed: bool


def update_inverse(hess_inv: Tensor | None, pair: Pair) -> Tensor:
    """Update an inverse Hessian by a pair (Nocedal and Wright, eq. 6.17 and 6.20)."""
    s, y, sy, _ = pair
    if hess_inv is None:
        hess_inv = torch.eye(s.numel(), dtype=s.dtype) * (sy / float(torch.dot(y, y)))
    Hy = hess_inv @ y
    cross = torch.outer(Hy, s / sy)
    return hess_inv - cross - cross.T + torch.outer(s, s) * ((1 + float(torch.dot(y, Hy)) / sy) / sy)


@frozen(kw_only=True)
class BFGS(QuasiNewton):
    """Quasi-Newton method BFGS with a line search [1]_.

    The method of Broyden, Fletcher, Goldfarb and Shanno.

    Parameters
    ----------
    line_search : LineSearch, default ArmijoWolfe()
        Line search; `Armijo` needs no gradients at trials.
    initial_step : float, default 1
        Length of the first trial, > 0, in sigmas (in units of `x_scale` if nothing is smoothed), also after a reset.
    max_step : float, default 100
        Longest step, > 0, in the same unit; it limits the effect of pairs that noise has made wrong.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range.

    See Also
    --------
    LBFGS : linear memory. DampedBFGS : keeps every pair. AdaptiveBFGS : noisy values, no gradient.

    Notes
    -----
    A pair (s, y) is used only if s'y exceeds two of its standard errors, and the line search allows for two standard
    errors of the values. If the search fails, the matrix is reset and steepest descent is tried; if that fails too, the
    step is 0 and the status LINE_SEARCH. If nothing is smoothed, each step evaluates the value at `x` again, because
    values of different steps have different seeds. Parameters pressed against a bound are held there, and the search
    follows the projected path. The method does not depend on the scale of the objective. It takes O(n^2) memory.

    References
    ----------
    .. [1] Nocedal, Wright, "Numerical Optimization", 2nd ed., 2006, algorithm 6.1.

    Examples
    --------
    >>> BFGS(line_search=ArmijoWolfe(c2=0.5)).initial_step
    1.0
    """

    line_search: LineSearch = field(factory=ArmijoWolfe, validator=check_search)
    initial_step: float = field(default=1.0, validator=real(above=0))
    max_step: float = field(default=100.0, validator=real(above=0))

    def init(self, x0: Tensor) -> Any:
        """State before the first step."""
        return BFGSState(None, None, failed=False)

    def step(self, x: Tensor, estimate: Estimate, state: Any, oracle: Oracle) -> tuple[Tensor, Any]:
        """Make one step.

        It costs a value, and for each trial a value and, with `ArmijoWolfe`, an estimate.
        """
        jac, free = free_gradient(x, gradient(estimate), oracle)
        now, hess_inv = visit(x, estimate), state.hess_inv
        pair = curvature_pair(state.last, now, free)
        if pair is not None and pair.significant:
            hess_inv = update_inverse(hess_inv, pair)
        direction = None if hess_inv is None else -(hess_inv @ jac)
        if direction is not None and free is not None:
            direction = torch.where(free, direction, 0.0)
        new = self._descend(x, jac, estimate, direction, oracle)
        return new.x, BFGSState(now, None if new.reset else hess_inv, new.failed)
