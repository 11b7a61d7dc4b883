"""NewtonCG: truncated Newton with conjugate gradients inside a trust radius."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from attrs import field, frozen
from torch import Tensor

from invopt.plugin import Estimate, Optimizer, Oracle, Order, integer, real, truncated_cg

from .descent.box import step_into_box
from .descent.steps import free_gradient, gradient, unit

__all__ = ["NewtonCG"]


# Eisenstat and Walker, eq. (2.6), with alpha = 2.
_GAMMA = 0.9


@frozen(kw_only=True)
class NewtonCG(Optimizer):
    r"""Truncated Newton method: Steihaug's conjugate gradients inside a ball [1]_.

    For many parameters, if Hessian-vector products are cheap.

    Parameters
    ----------
    trust_radius : float, default 1
        Longest step, > 0, in sigmas (in units of `x_scale` if nothing is smoothed).
    forcing : float, default 0.1
        Largest forcing term eta, in (0, 1): the inner iteration ends once the norm of the model's gradient is below eta
        times that of the gradient.
    maxinner : int, default 50
        Largest number of Hessian-vector products in a step, >= 1; never more than ``n``, the number of parameters.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind or out of range.

    See Also
    --------
    Newton : minimises the same model exactly.
    FletcherReevesCG : one product a step, conjugate across steps.

    Notes
    -----
    The forcing term is the second choice of Eisenstat and Walker [2]_, ``min(forcing, 0.9 (|g| / |g_previous|)^2)``:
    convergence is fast near a minimum, and independent of the scale of the objective. If the curvature along a
    direction is not positive, the step goes to the boundary. The radius is fixed, as in `Newton`. Nothing of size n^2
    is formed.

    References
    ----------
    .. [1] Steihaug, "The Conjugate Gradient Method and Trust Regions in Large Scale Optimization", SIAM J. Numer.
       Anal. 20(3), 1983.
    .. [2] Eisenstat, Walker, "Choosing the Forcing Terms in an Inexact Newton Method", SIAM J. Sci. Comput. 17(1),
       1996, eq. (2.6), with gamma = 0.9, alpha = 2.

    Examples
    --------
    >>> NewtonCG().maxinner
    50
    """

    requires: ClassVar[Order] = Order.JAC | Order.HESSP

    trust_radius: float = field(default=1.0, validator=real(above=0))
    forcing: float = field(default=0.1, validator=real(above=0, below=1))
    maxinner: int = field(default=50, validator=integer(1))

    def init(self, x0: Tensor) -> Any:
        """Norm of the last gradient: 0 before the first."""
        return 0.0

    def step(self, x: Tensor, estimate: Estimate, state: Any, oracle: Oracle) -> tuple[Tensor, Any]:
        """One step; costs up to `maxinner` products, and a few more if bounds cut it."""
        jac, free = free_gradient(x, gradient(estimate), oracle)
        size = float(torch.linalg.vector_norm(jac))
        if size == 0.0:
            return x, state

        def hessp(p: Tensor) -> Tensor:
            product = estimate.hessp(p)
            return product if free is None else torch.where(free, product, 0.0)

        step = truncated_cg(
            jac,
            hessp,
            self.trust_radius * unit(estimate),
            forcing=self.forcing if state == 0.0 else min(self.forcing, _GAMMA * min(size / state, 1.0) ** 2),
            maxiter=min(self.maxinner, x.numel()),
        )
        return step_into_box(x, step, jac, hessp, oracle)[0], size
