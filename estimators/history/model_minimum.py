"""Minimum of a fitted quadratic: step, standard error, bias by the kernel."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from invopt.plugin import Estimate, Evaluator, newton_step, on_free

from .regression import Fit, fit, quadratic, unpack
from .window import Reweighted

__all__ = ["kernel_shift", "prediction_std", "to_minimum", "uncertainty"]

# Standard errors by which the curvature at a minimum must exceed 0; by chance, 1 in 700.
# Measured (tests/benchmarks/constants.py): no influence within 2 % with 1.5 and 6.
_CURVATURE_ERRORS = 3.0


def prediction_std(objective: Evaluator, x: Tensor, model: Fit) -> float:
    """Standard deviation of the model under the kernel of the free parameters."""
    # The basis is orthonormal, so that the variance is the sum of the squared coefficients.
    jac, hess = unpack(model.coefficients, len(x))
    free = objective.free(x, jac)
    return math.sqrt(float(jac[free].square().sum() + 0.5 * hess[free][:, free].square().sum()))


def to_minimum(objective: Evaluator, estimate: Estimate, model: Fit) -> Tensor | None:
    """Step to the model's minimum; None unless all curvature exceeds the noise."""
    assert estimate.jac is not None
    free = objective.free(estimate.x, estimate.jac)
    if not bool(free.any()):
        return torch.zeros_like(estimate.jac)
    n = len(free)
    hess = unpack(model.coefficients, n)[1]
    values, vectors = torch.linalg.eigh(hess[free][:, free])
    directions = hess.new_zeros((n, len(values)))
    directions[free] = vectors
    i, j = torch.triu_indices(n, n)
    # The curvature along a direction is linear in the coefficients.
    along = torch.where(i == j, math.sqrt(2), 2.0)[:, None] * directions[i] * directions[j]
    covariance = model.covariance()[n + 1 :, n + 1 :]
    errors = (along * (covariance @ along)).sum(0).clamp(min=0).sqrt()
    curved = bool((values > _CURVATURE_ERRORS * errors).all())
    return on_free(newton_step, estimate.jac, estimate.hess, free) if curved else None


def uncertainty(objective: Evaluator, estimate: Estimate, model: Fit) -> Tensor:
    """Standard error of the model's minimum from that of its slope, in units of sigma."""
    assert estimate.jac is not None
    n, free = len(estimate.x), objective.free(estimate.x, estimate.jac)
    hess, noise = unpack(model.coefficients, n)[1], model.covariance()[1 : n + 1, 1 : n + 1]
    inverse = torch.linalg.pinv(hess[free][:, free], hermitian=True)
    error = torch.zeros_like(estimate.x)
    error[free] = (inverse @ noise[free][:, free] @ inverse).diagonal().clamp(min=0).sqrt()
    return error


def kernel_shift(objective: Evaluator, estimate: Estimate, seen: Reweighted) -> Tensor:
    """Shift of the minimum by smoothing, in units of sigma, from the third derivative."""
    assert estimate.jac is not None
    n, free = seen.t.shape[1], objective.free(estimate.x, estimate.jac)
    features, ridge = quadratic(seen.t)
    # Hermite polynomials of degree 3 that change the slope: each has slope -(n + 2) at 0, and a smoothed slope of 0.
    radial = seen.t * (seen.t.square().sum(1, keepdim=True) - (n + 2))
    model = fit(torch.cat([features, radial], 1), torch.cat([ridge, ridge[-1:].expand(n)]), seen.weights, seen.funs)
    hess, slopes = unpack(model.coefficients[:-n], n)[1], -(n + 2) * model.coefficients[-n:]
    blur = torch.zeros_like(slopes)
    blur[free] = torch.linalg.lstsq(hess[free][:, free], slopes[free, None]).solution[:, 0]
    return blur
