"""ExactDerivative: the objective's own derivatives in closed form."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from attrs import frozen
from torch import Tensor

from invopt.plugin import (
    HESS_COST,
    JAC_COST,
    Capability,
    Estimate,
    Estimator,
    Evaluator,
    Measurement,
    Order,
    Problem,
    SeedSource,
)

__all__ = ["ExactDerivative"]


@frozen(kw_only=True)
class ExactDerivative(Estimator):
    """Value, gradient and Hessian by the objective's own derivatives.

    The Hessian is provided only if the problem has one.

    For problems with exact derivatives, such as a `problems.Function` with ``jac``, for which it is the default.

    A value with its gradient counts as 2 evaluations. A Hessian counts as 1 more, spent when it is first used; products
    with it then cost nothing.

    Notes
    -----
    Standard errors are 0. If the function is noisy, value and derivatives are those under one seed. Derivatives are not
    checked: `invopt.testing.problem_differentiates` compares them with differences of values.

    The derivatives of a renderer are sampled, not exact: use `Autodiff`.

    See Also
    --------
    Autodiff : a renderer's derivative, with its standard errors.
    FiniteDifference : needs values only.

    Examples
    --------
    >>> import invopt
    >>> problem = invopt.problems.Function(fun=lambda x: x @ x, jac=lambda x: 2 * x, x0=[3.0, -1.0])
    >>> res = invopt.minimize(problem)
    >>> res.choice, bool(abs(res.x).max() < 1e-6)
    ("ExactDerivative with BFGS: the problem's own derivatives are given", True)
    """

    provides: ClassVar[Order] = Order.FUN | Order.JAC | Order.HESS | Order.HESSP
    needs: ClassVar[Capability] = Capability.FUN | Capability.JAC

    def provided(self, problem: Problem) -> Order:
        """Derivatives, with curvature if the problem has a Hessian."""
        curvature = Order.HESS | Order.HESSP
        return self.provides if Capability.HESS in problem.provides else self.provides & ~curvature

    def why_not(self, problem: Problem) -> str:
        """Why it does not support the problem: renderers have no exact derivative."""
        return "the derivatives of a renderer are sampled: use Autodiff" if problem.renders else ""

    def init(self, problem: Problem) -> None:
        """There is no state."""
        return

    def cost(self, n: int) -> int:
        """Evaluations of a value with its gradient."""
        return JAC_COST

    def hess_cost(self, n: int) -> int:
        """Evaluations of a Hessian."""
        return HESS_COST

    def estimate(self, objective: Evaluator, x: Tensor, state: None, rng: np.random.Generator) -> tuple[Estimate, None]:
        """Estimate at `x`."""
        seed = SeedSource(self.seeds, rng).draw(1)
        values, gradients = objective.values_and_jacs(x, seed=seed)

        def hessian() -> Measurement:
            hess = objective.hess(x, seed=int(seed[0]))
            return Measurement(hess, torch.zeros_like(hess))

        estimate = Estimate(
            x=x,
            fun=float(values[0]),
            jac=gradients[0],
            standard_error=torch.zeros_like(gradients[0]),
            hessian=hessian if Capability.HESS in objective.provides else None,
            nfev=JAC_COST,
        )
        return estimate, None
