"""HessianFree: truncated Newton with Levenberg's damping, for networks."""

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

# Ratios of the decrease to the predicted one above which the damping falls and below which it rises, and its factor
# (Martens, sec. 4.1).
_GOOD, _POOR, _DAMPING_FACTOR = 0.75, 0.25, 1.5
# Factor of the damping for another trial after a step that leads upwards.
# Measured (tests/benchmarks/constants.py): with 2 and 8, 2 % fewer and 5 % fewer evaluations to the answer; 6 and 5
# runs solved rather than 6 of 6.
_RETRY_FACTOR = 4.0
# Most trials.
# Measured (tests/benchmarks/constants.py): with 2 and 8, 11 % fewer and 19 % more evaluations to the answer.
_TRIALS = 4


class HessianFreeState(NamedTuple):
    """Damping and number of steps taken.

    The damping is a multiple of the gradient's norm over sigma.
    """

    damping: float
    taken: int


@frozen(kw_only=True)
class HessianFree(Optimizer):
    r"""Truncated Newton method with adaptive damping, for training networks [1]_.

    Conjugate gradients minimise :math:`g^T p + \frac12 p^T (H + \lambda I) p`, with sampled Hessian-vector products.

    Parameters
    ----------
    damping : float, default 1
        First :math:`\lambda`, > 0, as a multiple of the one with which a step along the gradient is one sigma long (one
        unit of `x_scale` if nothing is smoothed); behind a network, of the one that moves its outputs by one sigma.
    every : int, default 10
        Number of steps between checks of the damping, >= 1. A check costs another estimate, from the same samples as
        that of the step, and a product.
    trust_radius : float, default 1
        Longest step, > 0, in the same unit.
    forcing : float, default 0.1
        The inner iteration ends once the norm of the model's gradient is below this fraction of that of the gradient,
        in (0, 1).
    maxinner : int, default 20
        Largest number of Hessian-vector products in an inner iteration, >= 1; never more than n. With sampled curvature
        few are best, such as 3, because later ones follow the noise.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range.

    See Also
    --------
    NewtonCG : without damping, for few parameters.

    Notes
    -----
    Lambda is a multiple of the gradient's norm, so that it follows the scale of the objective and vanishes at a
    minimum [2]_; the multiple is adapted. A check compares the decrease with the one predicted by the model without
    damping: above 3/4 of it the multiple falls by a third, below 1/4 it rises by a half (Levenberg's rule, with the
    constants of [1]_). A step that leads upwards is tried again with four times the damping, up to three times, and
    then not taken. Between checks, steps are taken unchecked. Memory is a few vectors of n. The Hessian may be
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
        """State with the first damping."""
        return HessianFreeState(self.damping, 0)

    def step(self, x: Tensor, estimate: Estimate, state: Any, oracle: Oracle) -> tuple[Tensor, Any]:
        """Make one step.

        It costs up to `maxinner` products, and an estimate if the damping is checked.
        """
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
            new = self._proposed(x, jac, hessp, damping * _RETRY_FACTOR**trial, radius, oracle)
            ratio = _ratio(new - x, jac, hessp, estimate, new, oracle)
            if ratio > 0:
                break
        # Noise can make good steps look bad, so that the damping rises by one factor only, however many trials failed.
        factor = (
            1 / _DAMPING_FACTOR
            if ratio > _GOOD and trial == 0
            else _DAMPING_FACTOR
            if ratio < _POOR or trial > 0
            else 1.0
        )
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
    """Ratio of the decrease to the prediction; not positive for a step upwards."""
    predicted = float(torch.dot(jac, step)) + 0.5 * float(torch.dot(step, hessp(step)))
    if not predicted < 0:
        return 0.0
    try:
        return (oracle.repeat(new).fun - estimate.fun) / predicted
    except NonFiniteError:
        return 0.0
