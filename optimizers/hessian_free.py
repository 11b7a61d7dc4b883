"""Truncated Newton with Levenberg's damping, for networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import torch
from attrs import field, frozen
from torch import Tensor

from invopt.exceptions import NonFiniteError
from invopt.plugin import Estimate, Optimizer, Oracle, Order, integer, real, truncated_cg

from .descent.box import step_into_box
from .descent.steps import free_gradient, gradient, unit

__all__ = ["HessianFree"]

# Where the model predicts the decrease well, and where badly; how the damping then changes (Martens, sec. 4.1).
_GOOD, _BAD, _FACTOR = 0.75, 0.25, 1.5
# A step that leads upwards is tried again with a damping this much higher, this many times.
_RAISE, _TRIALS = 4.0, 4


class HessianFreeState(NamedTuple):
    """The damping, as a multiple of the gradient's size over a sigma; and the steps taken."""

    damping: float
    taken: int


@frozen(kw_only=True)
class HessianFree(Optimizer):
    r"""Conjugate gradients on :math:`g^T p + \frac12 p^T (H + \lambda I) p`, the damping adapted as it goes [1]_.

    Parameters
    ----------
    damping : float, default 1
        First :math:`\lambda`, > 0, as a multiple of the one with which a step along the gradient is a sigma long (where
        nothing is smoothed, a unit of `x_scale`); behind a network, one that moves its outputs by a sigma.
    every : int, default 10
        Steps from one check of the damping to the next, >= 1. A check costs another estimate, from the very samples of
        the step's own, and a product.
    trust_radius : float, default 1
        Longest step, > 0, in the same sigmas.
    forcing : float, default 0.1
        The inner iteration ends once the model's gradient is below this fraction of the gradient, in (0, 1).
    maxinner : int, default 20
        Most Hessian-vector products an inner iteration asks for, >= 1; never more than n. Sampled curvature wants few,
        such as 3: later ones follow its noise.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range.

    See Also
    --------
    NewtonCG : without damping, for few parameters.

    Notes
    -----
    Lambda is a multiple of the gradient's length, so that it follows the scale of the objective and vanishes at a
    minimum [2]_; what is adapted is the multiple. A check compares the decrease with what the model without damping
    predicts: above 3/4 of it the multiple falls by a third, below 1/4 it rises by a half (Levenberg's rule, with the
    constants of [1]_). A step that leads upwards is tried again with four times the damping, up to three times, and
    then not taken. Between checks steps are taken on trust. Memory is a few vectors of n; the Hessian may be
    indefinite.

    References
    ----------
    .. [1] Martens, "Deep learning via Hessian-free optimization", ICML 2010, sec. 4.1.
    .. [2] Li, Fukushima, Qi, Yamashita, "Regularized Newton Methods for Convex Minimization Problems with Singular
       Solutions", Comput. Optim. Appl. 28, 2004.

    Examples
    --------
    >>> HessianFree().every
    10
    """

    requires: ClassVar[Order] = Order.JAC | Order.HESSP

    damping: float = field(default=1.0, validator=real(above=0))
    every: int = field(default=10, validator=integer(1))
    trust_radius: float = field(default=1.0, validator=real(above=0))
    forcing: float = field(default=0.1, validator=real(above=0, below=1))
    maxinner: int = field(default=20, validator=integer(1))

    def init(self, x0: Tensor) -> Any:
        """The first damping."""
        return HessianFreeState(self.damping, 0)

    def step(self, x: Tensor, estimate: Estimate, state: Any, oracle: Oracle) -> tuple[Tensor, Any]:
        """One step; costs up to `maxinner` products, and an estimate where the damping is checked."""
        jac, free = free_gradient(x, gradient(estimate), oracle)
        size = float(torch.linalg.vector_norm(jac))
        if size == 0.0:
            return x, state
        radius = unit(estimate)
        damping = state.damping * size / radius

        def hessp(p: Tensor) -> Tensor:
            product = estimate.hessp(p)
            return product if free is None else torch.where(free, product, 0.0)

        if state.taken % self.every > 0:
            new = self._proposed(x, jac, hessp, damping, radius, oracle)
            return new, HessianFreeState(state.damping, state.taken + 1)
        for trial in range(_TRIALS):
            new = self._proposed(x, jac, hessp, damping * _RAISE**trial, radius, oracle)
            ratio = _ratio(new - x, jac, hessp, estimate, new, oracle)
            if ratio > 0:
                break
        # Noise can make the best of steps look bad: what the next ones pay for it is one factor, however many trials.
        factor = 1 / _FACTOR if ratio > _GOOD and trial == 0 else _FACTOR if ratio < _BAD or trial > 0 else 1.0
        return new if ratio > 0 else x, HessianFreeState(state.damping * factor, state.taken + 1)

    def _proposed(
        self, x: Tensor, jac: Tensor, hessp: Callable[[Tensor], Tensor], damping: float, radius: float, oracle: Oracle
    ) -> Tensor:
        def damped(p: Tensor) -> Tensor:
            return torch.add(hessp(p), p, alpha=damping)

        step = truncated_cg(
            jac, damped, self.trust_radius * radius, forcing=self.forcing, maxiter=min(self.maxinner, x.numel())
        )
        return step_into_box(x, step, jac, damped, oracle)[0]


def _ratio(
    step: Tensor, jac: Tensor, hessp: Callable[[Tensor], Tensor], estimate: Estimate, new: Tensor, oracle: Oracle
) -> float:
    """Decrease over what the model without damping predicts; not positive for a step upwards, or of no length."""
    predicted = float(torch.dot(jac, step)) + 0.5 * float(torch.dot(step, hessp(step)))
    if not predicted < 0:
        return 0.0
    try:
        return (oracle.repeat(new).fun - estimate.fun) / predicted
    except NonFiniteError:
        return 0.0
