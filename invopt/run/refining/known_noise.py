"""Errors of the parameters where the noise of the residuals is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from invopt.core.evaluator import Evaluator
from invopt.core.model import Model
from invopt.run.refining.derivatives import is_determined
from invopt.run.refining.discrepancy import Discrepancy, compare
from invopt.run.refining.replicates import Replicates

__all__ = ["data_of", "discrepancy", "known_errors", "posterior_covariance"]

Array = NDArray[np.float64]


def data_of(evaluator: Evaluator, rows: Array) -> Array:
    """Residuals of shape (..., m) without the rows of a prior."""
    return rows if evaluator.prior is None else rows[..., : rows.shape[-1] - evaluator.prior.size]


def discrepancy(evaluator: Evaluator, rows: Array) -> Discrepancy:
    """Compare residuals of shape (k, m) under k seeds.

    Neither a prior nor known noise is a discrepancy.
    """
    return compare(data_of(evaluator, rows), evaluator.image_shapes, evaluator.row_variance(rows.shape[1]))


def known_errors(
    evaluator: Evaluator, replicates: Replicates, model: Model | None, x: Array, unit: float
) -> Array | None:
    """Covariance at `x` by known noise and a prior, if evaluations have no noise.

    None if the noise is unknown, or the residuals do not determine all parameters. Without a model the slopes are
    differences, `unit` being the length of a sigma.
    """
    if evaluator.noise_std is None:
        return None
    if model is not None:
        hess, m = model.gauss_newton(x)[1], len(model.residuals(model.best))
    else:
        slopes = replicates.slopes(x, unit)
        hess, m = slopes @ slopes.T, slopes.shape[1]
    return posterior_covariance(hess, evaluator.row_variance(m))


def posterior_covariance(hess: Array, variance: float) -> Array | None:
    """Covariance, shape (n, n), by known noise of the residuals, and a prior.

    Parameters
    ----------
    hess : ndarray, shape (n, n)
        J'J of all residuals, rows of the prior included.
    variance : float
        Variance of the noise of each; 0 if it is unknown.

    Returns
    -------
    ndarray or None
        None if the noise is unknown, or not all parameters are determined.
    """
    if not (variance > 0 and is_determined(hess)):
        return None
    found: Array = np.asarray(variance * np.linalg.inv(hess), dtype=np.float64)
    return found
