"""The value alone, for methods that use nothing else."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from attrs import frozen
from torch import Tensor

from invopt._estimator import Estimate, Estimator, Order
from invopt._evaluate import Evaluator
from invopt._problem import Problem
from invopt._seeds import SeedSource
from invopt.exceptions import NonFiniteError

__all__ = ["FunctionValue"]


@frozen(kw_only=True)
class FunctionValue(Estimator):
    """One evaluation at x, for methods that use values only (`AdaptiveBFGS`, ``Scipy("nelder-mead")``)."""

    provides: ClassVar[Order] = Order.FUN

    def init(self, problem: Problem) -> None:
        """Nothing is remembered."""
        return

    def cost(self, n: int) -> int:
        """Evaluations of one estimate."""
        return 1

    def estimate(self, objective: Evaluator, x: Tensor, state: None, rng: np.random.Generator) -> tuple[Estimate, None]:
        """Estimate at `x`."""
        value = float(objective.fun(x[None], seed=SeedSource(self.seeds, rng).draw(1))[0])
        if value != value:
            raise NonFiniteError(f"the value at x = {objective.unscale(x).tolist()} is not finite")
        return Estimate(x=x, fun=value, nfev=1), None
