"""DampedBFGS: BFGS with Powell's damping."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from attrs import field, frozen
from scipy.linalg import cho_solve
from torch import Tensor

from invopt.plugin import Estimate, Oracle, on_free, real

from .descent.quasi_newton import Pair, QuasiNewton, Visit, curvature_pair, visit
from .descent.steps import free_gradient, gradient
from .line_search import Armijo, LineSearch, check_search

__all__ = ["DampedBFGS"]


class DampedState(NamedTuple):
    """Last visit, Hessian (None at first), and whether the search failed."""

    last: Visit | None
    hess: Tensor | None
    failed: bool


@frozen(kw_only=True)
class DampedBFGS(QuasiNewton):
    r"""BFGS that damps pairs to keep its matrix positive definite [1]_.

    The change of gradient y is replaced by :math:`\theta y + (1 - \theta) B s`, with the largest :math:`\theta \le 1`
    for which the curvature is at least `damping` times that of the present matrix B.

    Parameters
    ----------
    damping : float, default 0.2
        Least curvature after an update, as a share of s'Bs, in (0, 1); Powell's value is 0.2.
    line_search : LineSearch, default Armijo()
        Line search; damping makes the Wolfe condition unnecessary.
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
    BFGS : treats failure and bounds in the same way.

    Notes
    -----
    The first matrix is a multiple of the identity: y'y / s'y if that curvature exceeds its noise, else the one with
    which the last step is a Newton step. Noise in pairs is treated by damping alone. A linear solve a step, O(n^3).

    References
    ----------
    .. [1] Powell, "Algorithms for nonlinear constraints that use Lagrangian functions", Math. Program. 14, 1978;
       Nocedal, Wright, "Numerical Optimization", 2nd ed., 2006, procedure 18.2.

    Examples
    --------
    >>> DampedBFGS().damping
    0.2
    """

    damping: float = field(default=0.2, validator=real(above=0, below=1))
    line_search: LineSearch = field(factory=Armijo, validator=check_search)
    initial_step: float = field(default=1.0, validator=real(above=0))
    max_step: float = field(default=100.0, validator=real(above=0))

    def init(self, x0: Tensor) -> Any:
        """State before the first step."""
        return DampedState(None, None, failed=False)

    def step(self, x: Tensor, estimate: Estimate, state: Any, oracle: Oracle) -> tuple[Tensor, Any]:
        """One step; costs a value, and one for each trial."""
        jac, free = free_gradient(x, gradient(estimate), oracle)
        now, hess = visit(x, estimate), state.hess
        pair = curvature_pair(state.last, now, free)
        if pair is not None:
            hess = self._updated(hess, pair, state.last.jac)
        new = self._descend(x, jac, estimate, None if hess is None else on_free(_newton_step, jac, hess, free), oracle)
        return new.x, DampedState(now, None if new.reset else hess, new.failed)

    def _updated(self, hess: Tensor | None, pair: Pair, before: Tensor) -> Tensor:
        """Update the matrix by a pair, damped."""
        s, y, sy, significant = pair
        if hess is None:
            if significant:
                size = float(torch.dot(y, y)) / sy
            else:
                size = float(torch.linalg.vector_norm(before)) / float(torch.linalg.vector_norm(s))
            hess = torch.eye(s.numel(), dtype=s.dtype) * size
        Bs = hess @ s
        sBs = float(torch.dot(s, Bs))
        if not sBs > 0:
            return hess
        if not sy >= self.damping * sBs:
            theta = (1 - self.damping) * sBs / (sBs - sy)
            y = theta * y + (1 - theta) * Bs
            sy = float(torch.dot(s, y))
        return hess - torch.outer(Bs, Bs / sBs) + torch.outer(y, y / sy)


def _newton_step(jac: Tensor, hess: Tensor) -> Tensor | None:
    """Newton step; None if rounding has made the matrix indefinite.

    By numpy, not by `plugin.newton_step`: the two differ in their last bits, and so would results of earlier versions.
    """
    try:
        return -torch.from_numpy(cho_solve((np.linalg.cholesky(hess.numpy()), True), jac.numpy()))
    except (np.linalg.LinAlgError, ValueError):
        return None
