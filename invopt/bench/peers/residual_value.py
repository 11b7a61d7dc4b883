"""ResidualValue: the residuals at x, for methods that use nothing else."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from attrs import frozen
from torch import Tensor

from invopt.plugin import Capability, Estimate, Estimator, Evaluator, Order, Problem, SeedSource

__all__ = ["ResidualEstimate", "ResidualValue"]


@frozen(kw_only=True, eq=False, slots=False)
class ResidualEstimate(Estimate):
    """An estimate with the residuals that it was made of.

    Parameters
    ----------
    residuals : Tensor, shape (m,)
        Residuals at `x`, of which `fun` is the mean square.
    """

    residuals: Tensor


@frozen(kw_only=True)
class ResidualValue(Estimator):
    """One evaluation of the residuals at x, for `peers.ResidualSearch`."""

    provides: ClassVar[Order] = Order.FUN
    needs: ClassVar[Capability] = Capability.RESIDUALS

    def init(self, problem: Problem) -> None:
        """There is no state."""
        return

    def cost(self, n: int) -> int:
        """Evaluations of one estimate."""
        return 1

    def estimate(
        self, objective: Evaluator, x: Tensor, state: None, rng: np.random.Generator
    ) -> tuple[ResidualEstimate, None]:
        """Estimate at `x`."""
        residuals = objective.residuals(x[None], seed=SeedSource(self.seeds, rng).draw(1))[0]
        return ResidualEstimate(x=x, fun=float(residuals.square().mean()), nfev=1, residuals=residuals), None
