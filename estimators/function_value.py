"""FunctionValue: the value alone, for methods that need nothing else."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from torch import Tensor

from invopt.plugin import Estimate, Estimator, Evaluator, Order, Problem, SeedSource

__all__ = ["FunctionValue"]


@frozen(kw_only=True)
class FunctionValue(Estimator):
    """One evaluation at x, for methods that use values only.

    Such methods are `AdaptiveBFGS`, `CMAES` and ``Scipy("nelder-mead")``.

    If the objective is inf or the evaluation fails, `fun` is inf, which is worse than every finite value.
    """

    provides: ClassVar[Order] = Order.FUN

    def init(self, problem: Problem) -> None:
        """There is no state."""
        return

    def cost(self, n: int) -> int:
        """Evaluations of one estimate."""
        return 1

    def estimate(self, objective: Evaluator, x: Tensor, state: None, rng: np.random.Generator) -> tuple[Estimate, None]:
        """Estimate at `x`."""
        seed = SeedSource(self.seeds, rng).draw(1)
        if objective.constraints is not None:
            return self._constrained(objective, x, seed), None
        value = float(objective.fun(x[None], seed=seed, keep_inf=True)[0])
        return Estimate(x=x, fun=math.inf if math.isnan(value) else value, nfev=1, seed=int(seed[0])), None

    def _constrained(self, objective: Evaluator, x: Tensor, seed: NDArray[np.int64]) -> Estimate:
        """Value and constraints at `x`; the value is inf where a constraint does not hold."""
        row = objective.constrained(x[None], seed=seed).double()
        value = float(objective.constraints.merit(row.numpy())[0])
        fun = math.inf if math.isnan(value) else value
        return Estimate(x=x, fun=fun, nfev=1, seed=int(seed[0]), constrained=row[0])
