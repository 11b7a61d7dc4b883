"""LBFGS: BFGS with limited memory."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from attrs import field, frozen
from torch import Tensor

from invopt.plugin import Estimate, Oracle, integer, real

from .descent.quasi_newton import QuasiNewton, Visit, are_of, curvature_pair, visit
from .descent.steps import free_gradient, gradient
from .line_search import ArmijoWolfe, LineSearch, check_search

__all__ = ["LBFGS"]


class LBFGSState(NamedTuple):
    """Last visit, kept pairs (s, y), and whether the line search failed.

    The pairs are oldest first.
    """

    last: Visit | None
    pairs: tuple[tuple[Tensor, Tensor], ...]
    failed: bool


@frozen(kw_only=True)
class LBFGS(QuasiNewton):
    """BFGS for many parameters that keeps the last curvature pairs [1]_.

    It keeps them instead of a matrix.

    Parameters
    ----------
    maxcor : int, default 10
        Number of pairs kept, >= 1.
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
    BFGS : treats noise, failure and bounds in the same way.

    References
    ----------
    .. [1] Liu, Nocedal, "On the limited memory BFGS method for large scale optimization", Math. Program. 45, 1989.

    Examples
    --------
    >>> LBFGS().maxcor
    10
    """

    maxcor: int = field(default=10, validator=integer(1))
    line_search: LineSearch = field(factory=ArmijoWolfe, validator=check_search)
    initial_step: float = field(default=1.0, validator=real(above=0))
    max_step: float = field(default=100.0, validator=real(above=0))

    def init(self, x0: Tensor) -> Any:
        """State before the first step."""
        return LBFGSState(None, (), failed=False)

    def recognises(self, state: Any, x0: Tensor) -> bool:
        """Whether a state holds a visit and pairs of this size."""
        paired = all(isinstance(pair, tuple) and len(pair) == 2 for pair in state.pairs)
        whole = all(isinstance(side, Tensor) for pair in state.pairs for side in pair) if paired else False
        return whole and isinstance(state.last, Visit | None) and are_of(state, x0)

    def step(self, x: Tensor, estimate: Estimate, state: Any, oracle: Oracle) -> tuple[Tensor, Any]:
        """Make one step.

        It costs a value, and for each trial a value and, with `ArmijoWolfe`, an estimate.
        """
        jac, free = free_gradient(x, gradient(estimate), oracle)
        now, pairs = visit(x, estimate), state.pairs
        pair = curvature_pair(state.last, now, free)
        if pair is not None and pair.significant:
            pairs = (*pairs, (pair.s, pair.y))[-self.maxcor :]
        new = self._descend(x, jac, estimate, _two_loops(jac, pairs, free), oracle)
        return new.x, LBFGSState(now, () if new.reset else pairs, new.failed)


def _two_loops(jac: Tensor, pairs: tuple[tuple[Tensor, Tensor], ...], free: Tensor | None) -> Tensor | None:
    """Direction by the two-loop recursion on the free parameters.

    None without a usable pair.
    """
    if free is not None:
        pairs = tuple((torch.where(free, s, 0.0), torch.where(free, y, 0.0)) for s, y in pairs)
    usable = [(s, y, sy) for s, y in pairs if (sy := float(torch.dot(s, y))) > 0 and torch.dot(y, y) > 0]
    if not usable:
        return None
    q, weights = jac, []
    for s, y, sy in reversed(usable):
        weights.append(float(torch.dot(s, q)) / sy)
        q = torch.sub(q, y, alpha=weights[-1])
    _, y, sy = usable[-1]
    q = q * (sy / float(torch.dot(y, y)))
    for (s, y, sy), weight in zip(usable, reversed(weights), strict=True):
        q = torch.add(q, s, alpha=weight - float(torch.dot(y, q)) / sy)
    return -q
