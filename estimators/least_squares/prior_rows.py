"""Rows of a Gaussian prior among residuals, whose Jacobian is known."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from invopt.plugin import Evaluator

__all__ = ["jacobian_with_prior", "residuals_with_prior", "without_prior"]

Array = NDArray[np.float64]


def without_prior(objective: Evaluator, residuals: Array) -> Array:
    """Residuals of shape (..., m) without the rows of a prior."""
    return residuals if objective.prior is None else residuals[..., : residuals.shape[-1] - objective.prior.size]


def residuals_with_prior(objective: Evaluator, x: Array, residuals: Array) -> Array:
    """Residuals of shape (m,) at `x` of shape (n,), and the rows of a prior there."""
    prior = objective.prior
    if prior is None:
        return residuals
    return np.concatenate([residuals, _factor(objective, len(residuals), prior.size) * prior.at(x[None])[0]])


def jacobian_with_prior(objective: Evaluator, jacobian: csr_matrix) -> csr_matrix:
    """Jacobian of shape (m, n), and that of the rows of a prior."""
    prior = objective.prior
    if prior is None:
        return jacobian
    return csr_matrix(vstack([jacobian, _factor(objective, jacobian.shape[0], prior.size) * prior.matrix]))


def _factor(objective: Evaluator, m: int, p: int) -> float:
    """Standard deviation of the rows of a prior, beside m residuals."""
    return math.sqrt(objective.row_variance(m + p))
