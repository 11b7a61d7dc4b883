r"""Smoothed derivatives by weighted least squares on Hermite polynomials.

Under :math:`N(x, \sigma^2 I)` the polynomials :math:`1, t_i, (t_i^2 - 1) / \sqrt 2, t_i t_j` are orthonormal, and the
coefficients of f among them are, by Stein's identity, its smoothed value, :math:`\sigma` times its smoothed gradient
and :math:`\sigma^2` times its smoothed Hessian (diagonal elements over :math:`\sqrt 2`). A sum weighted by importance
estimates each coefficient by itself; least squares with the same weights estimates them together, and so takes out of
each what the samples, few as they are, mix into it of the others. Both converge to the same limit. On a polynomial that
the basis holds, least squares is exact from as many samples as there are coefficients.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Fit", "Influences", "fit", "influences", "linear", "quadratic", "unpack"]

# Ridges, relative to the weights' sum of 1: what the samples do not determine comes out as zero.
_RIDGE_LINEAR, _RIDGE_QUADRATIC = 1e-8, 1e-6
# One minus the leverage of a sample that alone decides a coefficient is 0, and so is its residual.
_LEAST_LEFT = 1e-2
# Weight below which a sample does not count.
_NOTHING = 1e-6


class Fit(NamedTuple):
    """Coefficients and what their uncertainty is made of.

    Attributes
    ----------
    coefficients : Tensor, shape (p,) or (p, m)
        Least-squares coefficients.
    influence : Tensor, shape (p, k)
        What each sample adds to each coefficient, per unit of its value.
    rest : Tensor, shape (k,) or (k, m)
        Residuals, each over the square root of one minus its leverage [1]_.
    determined : bool
        Whether there are more samples than coefficients, so that residuals say anything.

    References
    ----------
    .. [1] MacKinnon, White, "Some heteroskedasticity-consistent covariance matrix estimators with improved finite
       sample properties", J. Econometrics 29(3), 1985: HC2.
    """

    coefficients: Tensor
    influence: Tensor
    rest: Tensor
    determined: bool

    def covariance(self) -> Tensor:
        """Covariance of the coefficients, shape (p, p), summed over m."""
        noise = self.rest.square().reshape(len(self.rest), -1).sum(1)
        return (self.influence * noise) @ self.influence.T


class Influences(NamedTuple):
    """What least squares makes of values, whatever they are.

    Attributes
    ----------
    influence : Tensor, shape (p, k)
        Coefficients per unit of each sample's value.
    left : Tensor, shape (k,)
        Square roots of one minus each sample's leverage.
    determined : bool
        Whether there are more samples than coefficients.
    """

    influence: Tensor
    left: Tensor
    determined: bool


def linear(t: Tensor) -> tuple[Tensor, Tensor]:
    """Features 1 and t_i at the rows of `t`, and the ridge of each: shapes (k, 1 + n) and (1 + n,)."""
    k, n = t.shape
    ridge = torch.full((n + 1,), _RIDGE_LINEAR, dtype=t.dtype)
    ridge[0] = 0.0
    return torch.cat([torch.ones((k, 1), dtype=t.dtype), t], 1), ridge


def quadratic(t: Tensor) -> tuple[Tensor, Tensor]:
    """Features of all Hermite polynomials up to degree 2, p = (n + 1)(n + 2) / 2, and the ridge of each."""
    features, ridge = linear(t)
    i, j = torch.triu_indices(t.shape[1], t.shape[1])
    products = t[:, i] * t[:, j]
    products[:, i == j] = (products[:, i == j] - 1) / math.sqrt(2)
    return torch.cat([features, products], 1), torch.cat([ridge, torch.full((len(i),), _RIDGE_QUADRATIC)])


def unpack(coefficients: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Gradient (n,) and Hessian (n, n), in units of the width, from coefficients among `quadratic` features."""
    i, j = torch.triu_indices(n, n)
    hess = torch.zeros((n, n), dtype=coefficients.dtype)
    upper = coefficients[n + 1 :] * torch.where(i == j, math.sqrt(2), 1.0)
    hess[i, j], hess[j, i] = upper, upper
    return coefficients[1 : n + 1], hess


def influences(features: Tensor, ridge: Tensor, weights: Tensor) -> Influences:
    """Least squares with weights; parameters as of `fit`."""
    weighted = features.T * weights
    gram = weighted @ features + torch.diag(ridge + 1e-12)
    influence = torch.linalg.solve(gram, weighted)
    left = (1.0 - (features * influence.T).sum(1)).clamp(min=_LEAST_LEFT).sqrt()
    return Influences(influence, left, int((weights > _NOTHING).sum()) > features.shape[1])


def fit(features: Tensor, ridge: Tensor, weights: Tensor, values: Tensor) -> Fit:
    """Least squares with weights.

    Parameters
    ----------
    features : Tensor, shape (k, p)
        Features of the samples, the first of which is 1.
    ridge : Tensor, shape (p,)
        Penalty on the square of each coefficient, >= 0.
    weights : Tensor, shape (k,)
        Weights, summing to 1.
    values : Tensor, shape (k,) or (k, m)
        What is fitted.
    """
    influence, left, determined = influences(features, ridge, weights)
    # What all values share would drown what they differ in, in rounding.
    centre = weights @ values
    values = values - centre
    coefficients = influence @ values
    rest = (values - features @ coefficients) / left.reshape(-1, *[1] * (values.ndim - 1))
    coefficients[0] += centre
    return Fit(coefficients, influence, rest, determined)
