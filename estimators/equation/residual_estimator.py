"""Base of the estimators of gradients of an equation's residual."""

from __future__ import annotations

import abc
import math
from typing import ClassVar

import numpy as np
import torch
from attrs import frozen
from torch import Tensor

from invopt.exceptions import IncompatibleError, NonFiniteError
from invopt.plugin import Capability, Estimate, Estimator, Evaluator, Order, Problem, SeedSource, Sides

__all__ = ["DualEstimator", "ResidualEstimator"]


@frozen(kw_only=True)
class ResidualEstimator(Estimator):
    """Base of the gradients of a loss of both sides of an equation.

    The points are sampled anew in each call; subclasses define the loss. One call counts as one evaluation. `fun` is
    the loss at the points drawn. Its target depends on the weights, so that values at two points cannot be compared.
    """

    provides: ClassVar[Order] = Order.FUN | Order.JAC
    needs: ClassVar[Capability] = Capability.FUN | Capability.SIDES
    comparable: ClassVar[bool] = False
    # Whether the derivative of the right side is needed.
    differentiate_right: ClassVar[bool] = True

    def init(self, problem: Problem) -> int:
        """Number of estimates made."""
        return 0

    def cost(self, n: int) -> int:
        """One evaluation."""
        return 1

    def estimate(self, objective: Evaluator, x: Tensor, state: int, rng: np.random.Generator) -> tuple[Estimate, int]:
        """Estimate at `x`."""
        seed = int(SeedSource(self.seeds, rng).draw(1)[0])
        sides = objective.sides(x, seed=seed, step=state, differentiate_right=self.differentiate_right)
        values = self.losses(sides)
        fun = sides.loss.reduce(values)
        value = float(fun.detach())
        if not math.isfinite(value):
            raise NonFiniteError(_not_finite(state, value))
        jac = objective.scale_gradient(sides.gradient(fun))
        count = values.numel()
        estimate = Estimate(
            x=x,
            fun=value,
            fun_standard_error=float(values.detach().std()) / count**0.5 if count > 1 else math.inf,
            jac=jac,
            # Unknown from one batch; `expand` saves the memory of n infinities.
            standard_error=torch.full((), math.inf, dtype=jac.dtype, device=jac.device).expand_as(jac),
            nfev=1,
            metrics=sides.metrics,
        )
        return estimate, state + 1

    @abc.abstractmethod
    def losses(self, sides: Sides) -> Tensor:
        """Loss of each point, shape (k,), whose derivative is estimated."""


@frozen(kw_only=True)
class DualEstimator(ResidualEstimator):
    """Base of the estimators with two independent estimates of the right side."""

    @staticmethod
    def halves(sides: Sides) -> tuple[Tensor, Tensor]:
        """Two independent estimates of the right side, each of shape (k, c)."""
        if sides.right.shape[1] < 2:
            raise IncompatibleError("a dual buffer needs two directions at least: raise 'n_directions' to 2 or more")
        if not sides.loss.quadratic:
            raise IncompatibleError(
                f"a dual buffer is a product of two residuals, and {type(sides.loss).__name__} is not a square: "
                f"take loss='relative-l2', or another estimator"
            )
        return sides.halves()


def _not_finite(state: int, value: float) -> str:
    if state == 0:
        return f"the loss of the first estimate is {value}: check x0 and the scene"
    return (
        f"the loss of estimate {state} is {value}: lower the learning rate; the last weights with a finite loss are "
        f"`x` of this error's `result`, and a new run can start there: minimize(..., x0=error.result.x)"
    )
