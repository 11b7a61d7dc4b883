"""The quadratic on which estimators and optimizers are checked."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.estimator import Estimate, Measurement
from invopt.core.evaluator import HESS_COST, JAC_COST
from invopt.core.objective import ADJOINT, Adjoint, Objective
from invopt.core.residual_equation import ResidualLoss, Sides
from invopt.testing.exact_model import ExactModel, ExactValueModel

__all__ = ["HESS", "START", "Counting", "exact"]

HESS = torch.tensor([[10.0, 7.5], [7.5, 10.0]], dtype=torch.float64)
START = torch.tensor([1.0, -0.5], dtype=torch.float64)


class Counting(Objective):
    """A quadratic with a constant, which counts its evaluations."""

    def __init__(self) -> None:
        self.nfev = 0

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Values."""
        self.nfev += x.shape[0]
        return 0.5 * ((x @ HESS) * x).sum(1) + 0.25

    def residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Residuals, whose mean square is the value."""
        self.nfev += x.shape[0]
        # Linear in x, with a mean square of x'Hx / 2 + 0.25.
        parts = torch.cat([x @ torch.linalg.cholesky(0.5 * HESS), torch.full((x.shape[0], 1), 0.5)], 1)
        return parts.double() * 3**0.5

    def value_and_jac(
        self, x: Tensor, *, seed: int, spp: int | None = None, adjoint: Adjoint = ADJOINT
    ) -> tuple[float, Tensor]:
        """Value and gradient."""
        self.nfev += JAC_COST
        return float(0.5 * x @ HESS @ x) + 0.25, HESS @ x

    def hess(self, x: Tensor, *, seed: int) -> Tensor:
        """The Hessian."""
        self.nfev += HESS_COST
        return HESS.clone()

    def sides(self, x: Tensor, *, seed: int, step: int, differentiate_right: bool) -> Sides:
        """The same quadratic as the mean square of a left side; the right side is zero."""
        self.nfev += 1
        weights = x.detach().clone().requires_grad_()
        root = torch.linalg.cholesky(HESS / 2).T @ weights
        left = 3**0.5 * torch.cat([root, torch.full((1,), 0.5, dtype=x.dtype)])
        return Sides(weights=weights, left=left[None], right=torch.zeros(1, 4, 3, dtype=x.dtype), loss=_Squares())


class _Squares(ResidualLoss):
    def values(self, left: Tensor, right: Tensor) -> Tensor:
        return (left - right).square().mean(1)

    def product(self, left: Tensor, first: Tensor, second: Tensor, reference: Tensor) -> Tensor:
        return ((left - first) * (left - second)).mean(1)


def exact(x: Tensor, hess: Tensor, center: float = 0.0) -> Estimate:
    """Exact estimate of a quadratic around `center`."""
    d = x - center
    zero = torch.zeros_like(hess)
    return Estimate(
        x=x,
        fun=float(0.5 * d @ hess @ d),
        jac=hess @ d,
        standard_error=torch.zeros_like(x),
        hessian=lambda: Measurement(hess, zero),
        nfev=0,
        model=ExactModel(x.numpy(), hess.numpy(), center),
        value_model=ExactValueModel(x.numpy(), hess.numpy(), center),
    )
