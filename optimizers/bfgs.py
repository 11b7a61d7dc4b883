"""BFGS."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from attrs import field, frozen
from torch import Tensor

from invopt.plugin import Estimate, Optimizer, Oracle, Status, real

from .descent.quasi_newton import Pair, Visit, curvature_pair, descend, visit
from .descent.steps import free_gradient, gradient
from .line_search import ArmijoWolfe, LineSearch, check_search

__all__ = ["BFGS", "update_inverse"]


class BFGSState(NamedTuple):
    """Last visit, inverse Hessian (None before the first pair), and whether the line search failed."""

    last: Visit | None
    hess_inv: Tensor | None
    failed: bool


def update_inverse(hess_inv: Tensor | None, pair: Pair) -> Tensor:
    """Inverse Hessian after a pair (eq. 6.17 of Nocedal and Wright); from None, scaled by it first (eq. 6.20)."""
    s, y, sy, _ = pair
    if hess_inv is None:
        hess_inv = torch.eye(s.numel(), dtype=s.dtype) * (sy / float(torch.dot(y, y)))
    Hy = hess_inv @ y
    cross = torch.outer(Hy, s / sy)
    return hess_inv - cross - cross.T + torch.outer(s, s) * ((1 + float(torch.dot(y, Hy)) / sy) / sy)


@frozen(kw_only=True)
class BFGS(Optimizer):
    """Quasi-Newton method of Broyden, Fletcher, Goldfarb and Shanno, with a line search [1]_.

    Parameters
    ----------
    line_search : LineSearch, default ArmijoWolfe()
        How far to go; `Armijo` spares the gradients at trials.
    initial_step : float, default 1
        Length of the first trial, > 0, in sigmas (in units of `x_scale` where nothing is smoothed), and of the first
        after a reset.
    max_step : float, default 100
        Longest step, > 0, in the same unit: a guard against pairs that noise has made.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range.

    See Also
    --------
    LBFGS : linear memory. DampedBFGS : keeps every pair. AdaptiveBFGS : noisy values, no gradient.

    Notes
    -----
    Noise: a pair (s, y) is used only where s'y exceeds two standard errors of it, and the line search allows two
    standard errors of the values. Where the search fails, the matrix is forgotten and steepest descent tried; where
    that fails too the step is 0 and the status LINE_SEARCH. Where nothing is smoothed, each step asks for the value
    at `x`, since values of different steps have different seeds. Parameters pressed against a bound are held there,
    and the search follows the projected path. Independent of the scale of the objective. O(n^2) memory.

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
        """Nothing known yet."""
        return BFGSState(None, None, failed=False)

    def step(self, x: Tensor, estimate: Estimate, state: Any, oracle: Oracle) -> tuple[Tensor, Any]:
        """One step; costs a value and, a trial, a value and with `ArmijoWolfe` an estimate."""
        jac, free = free_gradient(x, gradient(estimate), oracle)
        now, hess_inv = visit(x, estimate), state.hess_inv
        pair = curvature_pair(state.last, now, free)
        if pair is not None and pair.significant:
            hess_inv = update_inverse(hess_inv, pair)
        direction = None if hess_inv is None else -(hess_inv @ jac)
        if direction is not None and free is not None:
            direction = torch.where(free, direction, 0.0)
        new = descend(
            x,
            jac,
            estimate,
            direction,
            oracle,
            self.line_search,
            initial_step=self.initial_step,
            max_step=self.max_step,
        )
        return new.x, BFGSState(now, None if new.reset else hess_inv, new.failed)

    def status(self, state: Any) -> Status:
        """LINE_SEARCH once even steepest descent finds no lower point."""
        return Status.LINE_SEARCH if state.failed else Status.RUNNING
