"""The objective's own derivatives, where it has them in closed form."""

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
    """Value, gradient and, where the problem has one, Hessian, by the objective's own derivatives.

    For a `problems.Function` with ``jac``, chosen automatically there, and for every problem whose derivatives are
    exact. A value with its gradient counts as 2 evaluations, a Hessian as 1 on top, spent when it is first asked for;
    products with it are then free.

    Notes
    -----
    Standard errors are 0. Where the function is noisy, value and derivatives are those of the noise under one seed.
    Derivatives are taken as they are: `invopt.testing.problem_differentiates` compares them with differences of values.

    What a renderer differentiates is sampled, and not exact: `Autodiff` takes it.

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
        """Curvature where the problem has a Hessian of its own."""
        curvature = Order.HESS | Order.HESSP
        return self.provides if Capability.HESS in problem.provides else self.provides & ~curvature

    def why_not(self, problem: Problem) -> str:
        """Renderers have no exact derivative."""
        return "what a renderer differentiates is sampled: use Autodiff" if problem.renders else ""

    def init(self, problem: Problem) -> None:
        """Nothing is remembered."""
        return

    def cost(self, n: int) -> int:
        """A value with its gradient."""
        return JAC_COST

    def hess_cost(self, n: int) -> int:
        """A Hessian."""
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
