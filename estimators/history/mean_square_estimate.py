"""Estimate of a mean of squares from the linear model of its residuals."""

from __future__ import annotations

import torch
from torch import Tensor

from invopt.plugin import Estimate, Lowest, Measurement

from ..least_squares.parameter_covariance import gradient_blocks
from .history import HistoryState
from .linear_model import LinearModel

__all__ = ["mean_square_estimate"]


def mean_square_estimate(
    x: Tensor, model: LinearModel, state: HistoryState, *, remembers: bool, noisy: bool = True
) -> Estimate:
    """Value, gradient and Hessian of a mean square, corrected for noise."""
    sigma = state.sigma
    coefficients, products = model.coefficients, model.products
    m, excess = coefficients.shape[1], model.covariance()
    # Effect of each sample's deviation on the value, and on the gradient through slope and value.
    along, across = model.rests[:, 0], model.rests[:, 1:]
    moved = model.influence[1:] * along + model.influence[0] * across.T
    # Noise that the window shares is not in the spread of its samples; at the answer the residuals are that noise.
    shared = gradient_blocks(coefficients[1:], coefficients[0]).square().sum(1) if noisy else 0.0
    jac = 2 * (products[1:, 0] - excess[1:, 0]) / (m * sigma)
    unknown = torch.full_like(x, torch.inf)
    funs = torch.cat([batch.funs for batch in state.batches])

    def predicted(step: Tensor) -> float:
        t = torch.cat([step.new_ones(1), step / sigma])
        return float(t @ products @ t) / m

    return Estimate(
        x=x,
        fun=max(0.0, float(products[0, 0] - excess[0, 0]) / m),
        fun_standard_error=2 * float(torch.linalg.vector_norm(model.influence[0] * along)) / m,
        jac=torch.zeros_like(jac) if state.stay else jac,
        standard_error=2 * (moved.square().sum(1) + shared).sqrt() / (m * sigma) if model.overdetermined else unknown,
        hessian=lambda: _hessian(model, jac, sigma, known=model.overdetermined or not remembers),
        nfev=0,
        sigma=sigma,
        spread=float(funs.std(correction=0)),
        lowest=None if state.stay or state.lowest is None else Lowest(*state.lowest, predicted),
    )


def _hessian(model: LinearModel, jac: Tensor, sigma: float, *, known: bool) -> Measurement:
    if not known:
        # The curvature is unknown: negative, so that a step leads downhill to the trust radius.
        flat = -torch.eye(len(jac), dtype=jac.dtype) * float(jac.abs().max()) / sigma
        return Measurement(flat, torch.full_like(flat, torch.inf))
    scale = model.coefficients.shape[1] * sigma**2
    influence, across = model.influence[1:], model.rests[:, 1:]
    both = torch.einsum("ik,kj->kij", influence, across) + torch.einsum("jk,ki->kij", influence, across)
    value = 2 * (model.products - model.covariance())[1:, 1:] / scale
    return Measurement(value, 2 * both.square().sum(0).sqrt() / scale)
