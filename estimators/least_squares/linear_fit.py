"""Linear fit of residuals to samples around a point, by weighted least squares."""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor

__all__ = ["LinearFit", "linear_fit"]

# Ridge of the slopes, relative to the sum of the weights, 1: those that the samples do not determine become 0. The bias
# is as small a share of a slope.
_RIDGE_LINEAR = 1e-8
# Added to all ridges, so that the matrix can be inverted: a multiple of machine precision.
_RIDGE_ROUNDING = 1e-12
# Lower limit of one minus a leverage, because both that and the residual of a sample are 0 if it alone determines a
# coefficient. From fewer samples than twice the coefficients a share of 1 % is not estimated better.
_LEAST_SLACK = 1e-2
# Weight, of 1 for all, below which a sample does not count: far below that of one among hundreds.
_LEAST_WEIGHT = 1e-6


@frozen(eq=False)
class LinearFit:
    """Least-squares fit of m residuals to 1 and n offsets.

    Attributes
    ----------
    coefficients : Tensor, shape (1 + n, m)
        Residuals at the centre, and their slopes.
    influence : Tensor, shape (1 + n, k)
        Derivative of each coefficient by the value of each sample.
    rest : Tensor, shape (k, m)
        Residuals of the fit, each divided by the square root of one minus its leverage [1]_.
    overdetermined : bool
        Whether there are more samples than coefficients, so that the residuals of the fit are informative.

    References
    ----------
    .. [1] MacKinnon, White, "Some heteroskedasticity-consistent covariance matrix estimators with improved finite
       sample properties", J. Econometrics 29(3), 1985: HC2.
    """

    coefficients: Tensor
    influence: Tensor
    rest: Tensor
    overdetermined: bool

    def excess(self) -> Tensor:
        """Contribution of noise to the coefficients' products, shape (1 + n, 1 + n)."""
        return (self.influence * self.rest.square().sum(1)) @ self.influence.T


def linear_fit(t: Tensor, weights: Tensor, values: Tensor) -> LinearFit:
    """Fit values of shape (k, m) at offsets `t` of shape (k, n); `weights` sum to 1."""
    k, n = t.shape
    features = torch.cat([torch.ones((k, 1), dtype=t.dtype), t], 1)
    ridge = torch.full((n + 1,), _RIDGE_LINEAR + _RIDGE_ROUNDING, dtype=t.dtype)
    ridge[0] = _RIDGE_ROUNDING
    weighted = features.T * weights
    influence = torch.linalg.solve(weighted @ features + torch.diag(ridge), weighted)
    left = (1.0 - (features * influence.T).sum(1)).clamp(min=_LEAST_SLACK).sqrt()
    # A large common offset would lose the differences to rounding.
    centre = weights @ values
    away = values - centre
    coefficients = influence @ away
    rest = (away - features @ coefficients) / left[:, None]
    coefficients[0] += centre
    return LinearFit(coefficients, influence, rest, int((weights > _LEAST_WEIGHT).sum()) > n + 1)
