"""The minimum of a quadratic fitted to samples: where it is, how well known, how far the kernel has moved it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from invopt.plugin import Estimate, Evaluator, newton_step, on_free

from .regression import Fit, fit, quadratic, unpack
from .window import Reweighted

__all__ = ["kernel_shift", "to_minimum", "uncertainty", "varies"]

# Standard errors by which a minimum must be curved.
_CURVED = 3.0


def varies(objective: Evaluator, x: Tensor, model: Fit) -> float:
    """How much values differ within the width, as far as bounds let it go: the basis is orthonormal."""
    jac, hess = unpack(model.coefficients, len(x))
    free = objective.free(x, jac)
    return math.sqrt(float(jac[free].square().sum() + 0.5 * hess[free][:, free].square().sum()))


def to_minimum(objective: Evaluator, estimate: Estimate, model: Fit) -> Tensor | None:
    """Step to the model's minimum; None if its curvature does not stand out of the noise in every direction."""
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
    # Curvature along a direction is linear in the coefficients.
    along = torch.where(i == j, math.sqrt(2), 2.0)[:, None] * directions[i] * directions[j]
    covariance = model.covariance()[n + 1 :, n + 1 :]
    errors = (along * (covariance @ along)).sum(0).clamp(min=0).sqrt()
    curved = bool((values > _CURVED * errors).all())
    return on_free(newton_step, estimate.jac, estimate.hess, free) if curved else None


def uncertainty(objective: Evaluator, estimate: Estimate, model: Fit) -> Tensor:
    """Standard error of the model's minimum, in units of the width, by the noise of its slope."""
    assert estimate.jac is not None
    n, free = len(estimate.x), objective.free(estimate.x, estimate.jac)
    hess, noise = unpack(model.coefficients, n)[1], model.covariance()[1 : n + 1, 1 : n + 1]
    inverse = torch.linalg.pinv(hess[free][:, free], hermitian=True)
    error = torch.zeros_like(estimate.x)
    error[free] = (inverse @ noise[free][:, free] @ inverse).diagonal().clamp(min=0).sqrt()
    return error


def kernel_shift(objective: Evaluator, estimate: Estimate, seen: Reweighted) -> Tensor:
    """How far the kernel has moved the minimum, in units of its width: what a third derivative does."""
    assert estimate.jac is not None
    n, free = seen.t.shape[1], objective.free(estimate.x, estimate.jac)
    features, ridge = quadratic(seen.t)
    # Hermite polynomials of degree 3, as far as they change the slope: each has slope -(n + 2) at 0, and 0 smoothed.
    radial = seen.t * (seen.t.square().sum(1, keepdim=True) - (n + 2))
    model = fit(torch.cat([features, radial], 1), torch.cat([ridge, ridge[-1:].expand(n)]), seen.weights, seen.funs)
    hess, slopes = unpack(model.coefficients[:-n], n)[1], -(n + 2) * model.coefficients[-n:]
    blur = torch.zeros_like(slopes)
    blur[free] = torch.linalg.lstsq(hess[free][:, free], slopes[free, None]).solution[:, 0]
    return blur
