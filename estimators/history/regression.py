r"""Smoothed derivatives by weighted least squares on Hermite polynomials.

Under :math:`N(x, \sigma^2 I)` the polynomials :math:`1, t_i, (t_i^2 - 1) / \sqrt 2, t_i t_j` are orthonormal, and the
coefficients of f among them are, by Stein's identity, its smoothed value, :math:`\sigma` times its smoothed gradient
and :math:`\sigma^2` times its smoothed Hessian (diagonal elements over :math:`\sqrt 2`). Importance sampling estimates
each coefficient separately. Least squares with the same weights estimates them jointly, which removes the errors that
few samples cause in one coefficient through the others. Both converge to the same limit. On a polynomial of the basis,
least squares is exact as soon as there are as many samples as coefficients.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Fit", "Influences", "fit", "influences", "linear", "quadratic", "unpack"]

# Ridge of the linear coefficients, relative to the sum of the weights, 1: those that the samples do not determine
# become 0.
# Measured (tests/benchmarks/constants.py): no influence within 2 % with 1e-10 and 1e-06.
_RIDGE_LINEAR = 1e-8
# That of the quadratic coefficients.
# Measured (tests/benchmarks/constants.py): no influence within 2 % with 1e-08 and 0.0001.
_RIDGE_QUADRATIC = 1e-6
# Added to all ridges, so that the matrix can be inverted: a multiple of machine precision.
_RIDGE_ROUNDING = 1e-12
# Lower limit of one minus a leverage, because both that and the residual of a sample are 0 if it alone determines a
# coefficient. Measured (tests/benchmarks/constants.py): no influence within 2 % with 0.005 and 0.02.
_LEAST_SLACK = 1e-2
# Weight below which a sample does not count.
# Measured (tests/benchmarks/constants.py): no influence within 2 % with 1e-08 and 0.0001.
_LEAST_WEIGHT = 1e-6


class Fit(NamedTuple):
    """Coefficients of a fit, and what their covariance is computed from.

    Attributes
    ----------
    coefficients : Tensor, shape (p,) or (p, m)
        Least-squares coefficients.
    influence : Tensor, shape (p, k)
        Derivative of each coefficient by the value of each sample.
    rest : Tensor, shape (k,) or (k, m)
        Residuals, each divided by the square root of one minus its leverage [1]_.
    overdetermined : bool
        Whether there are more samples than coefficients, so that the residuals are informative.

    References
    ----------
    .. [1] MacKinnon, White, "Some heteroskedasticity-consistent covariance matrix estimators with improved finite
       sample properties", J. Econometrics 29(3), 1985: HC2.
    """

    coefficients: Tensor
    influence: Tensor
    rest: Tensor
    overdetermined: bool

    def covariance(self) -> Tensor:
        """Covariance of the coefficients, shape (p, p), summed over m."""
        noise = self.rest.square().reshape(len(self.rest), -1).sum(1)
        return (self.influence * noise) @ self.influence.T


class Influences(NamedTuple):
    """Weighted least squares as a linear map, for any values.

    Attributes
    ----------
    influence : Tensor, shape (p, k)
        Derivative of each coefficient by the value of each sample.
    left : Tensor, shape (k,)
        Square roots of one minus each sample's leverage.
    overdetermined : bool
        Whether there are more samples than coefficients.
    """

    influence: Tensor
    left: Tensor
    overdetermined: bool


def linear(t: Tensor) -> tuple[Tensor, Tensor]:
    """Features 1 and t_i at the rows of `t`, and their ridges.

    Their shapes are (k, 1 + n) and (1 + n,).
    """
    k, n = t.shape
    ridge = torch.full((n + 1,), _RIDGE_LINEAR, dtype=t.dtype)
    ridge[0] = 0.0
    return torch.cat([torch.ones((k, 1), dtype=t.dtype), t], 1), ridge


def quadratic(t: Tensor) -> tuple[Tensor, Tensor]:
    """Features of the (n + 1)(n + 2) / 2 polynomials up to degree 2, and their ridges."""
    features, ridge = linear(t)
    i, j = torch.triu_indices(t.shape[1], t.shape[1])
    products = t[:, i] * t[:, j]
    products[:, i == j] = (products[:, i == j] - 1) / math.sqrt(2)
    return torch.cat([features, products], 1), torch.cat([ridge, torch.full((len(i),), _RIDGE_QUADRATIC)])


def unpack(coefficients: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Gradient and Hessian, in units of sigma, from coefficients of `quadratic`."""
    i, j = torch.triu_indices(n, n)
    hess = torch.zeros((n, n), dtype=coefficients.dtype)
    upper = coefficients[n + 1 :] * torch.where(i == j, math.sqrt(2), 1.0)
    hess[i, j], hess[j, i] = upper, upper
    return coefficients[1 : n + 1], hess


def influences(features: Tensor, ridge: Tensor, weights: Tensor) -> Influences:
    """Solve weighted least squares for any values; parameters as in `fit`."""
    weighted = features.T * weights
    gram = weighted @ features + torch.diag(ridge + _RIDGE_ROUNDING)
    influence = torch.linalg.solve(gram, weighted)
    left = (1.0 - (features * influence.T).sum(1)).clamp(min=_LEAST_SLACK).sqrt()
    return Influences(influence, left, int((weights > _LEAST_WEIGHT).sum()) > features.shape[1])


def fit(features: Tensor, ridge: Tensor, weights: Tensor, values: Tensor) -> Fit:
    """Fit values by weighted least squares.

    Parameters
    ----------
    features : Tensor, shape (k, p)
        Features of the samples; the first is 1.
    ridge : Tensor, shape (p,)
        Penalty on the square of each coefficient, >= 0.
    weights : Tensor, shape (k,)
        Weights, summing to 1.
    values : Tensor, shape (k,) or (k, m)
        Values to fit.
    """
    influence, left, overdetermined = influences(features, ridge, weights)
    # A large common offset would lose the differences to rounding.
    centre = weights @ values
    values = values - centre
    coefficients = influence @ values
    rest = (values - features @ coefficients) / left.reshape(-1, *[1] * (values.ndim - 1))
    coefficients[0] += centre
    return Fit(coefficients, influence, rest, overdetermined)
