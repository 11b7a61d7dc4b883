"""Quadratic regression through the evaluations nearest to a point."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from invopt.plugin import solve_ball

from .space import Array

__all__ = ["Quadratic", "fit_quadratic", "least_for"]

# Points of the fit: this many for each coefficient, and one generation.
_POINTS_EACH = 2.0
# Points farther than this many times sqrt(n) are left out, unless fewer than n + 2 would be left.
_FARTHEST = 4.0
# Distance, in sqrt(n), from which on the weight of a point falls as the fourth power.
_NEAR = 1.5
# Values are in units of this quantile of their deviations from the median, and clipped to so many of them.
_QUANTILE, _CLIPPED = 0.7, 20.0
# First variances of slopes, of curvatures and of what is left, in these units; repetitions of their estimate by
# expectation and maximisation, of which few suffice; precision of the constant, which is free.
_SLOPES, _CURVATURES, _REST, _REPETITIONS, _FREE = 1.0, 0.3, 0.1, 5, 1e-6
# Least variance, so that precisions stay finite.
_LEAST_VARIANCE = 1e-10


class Quadratic(NamedTuple):
    """Quadratic in whitened coordinates, with the covariance of its coefficients.

    Attributes
    ----------
    jac : ndarray, shape (n,)
    hess : ndarray, shape (n, n)
    covariance : ndarray, shape (n, n)
        Covariance of `jac`.
    rest : float
        Standard deviation of what the quadratic leaves, in units of the values.
    constant : float
        Value at 0.
    unit : float
        Unit of `jac` and `hess`, in units of the values.
    """

    jac: Array
    hess: Array
    covariance: Array
    rest: float
    constant: float
    unit: float

    def value(self, point: Array) -> float:
        """Value of the quadratic at a point."""
        return self.constant + self.unit * float(self.jac @ point + 0.5 * point @ self.hess @ point)

    def minimum(self, radius: float) -> Array:
        """Minimum within a radius of 0."""
        step: Array = solve_ball(torch.from_numpy(self.jac), torch.from_numpy(self.hess), radius).numpy()
        return step


def least_for(n: int) -> int:
    """Least number of points of a fit."""
    return 2 * n + 2


def fit_quadratic(points: Array, values: Array, extra: int) -> Quadratic | None:
    """Fit a quadratic around 0; None if the values are all the same.

    Ridge regression, whose penalties are the variances of slopes and curvatures, by expectation and maximisation: see
    Bishop, "Pattern Recognition and Machine Learning", section 3.5.

    Parameters
    ----------
    points : ndarray, shape (k, n)
        Points, in coordinates in which the function is about as wide in every direction.
    values : ndarray, shape (k,)
    extra : int
        Points beside those that the number of coefficients asks for.
    """
    n = points.shape[1]
    count = 1 + n + n * (n + 1) // 2
    distance = np.linalg.norm(points, axis=1)
    k = min(len(values), int(_POINTS_EACH * count) + extra)
    chosen = np.argpartition(distance, k - 1)[:k] if k < len(values) else np.arange(k)
    nth = float(np.partition(distance, min(len(distance) - 1, n + 1))[min(len(distance) - 1, n + 1)])
    chosen = chosen[distance[chosen] <= max(_FARTHEST * np.sqrt(n), nth)]
    points, values, distance = points[chosen], values[chosen], distance[chosen]
    centre = float(np.median(values))
    unit = float(np.quantile(np.abs(values - centre), _QUANTILE))
    if not unit > 0:
        return None
    y = np.clip((values - centre) / unit, -_CLIPPED, _CLIPPED)
    weights = 1 / (1 + (distance / (_NEAR * np.sqrt(n))) ** 4)
    features = _features(points)
    weighted = features * weights[:, None]
    gram, projected, total = weighted.T @ features, weighted.T @ y, float(weights.sum())
    slopes, curvatures, rest = _SLOPES, _CURVATURES, _REST
    for _ in range(_REPETITIONS):
        precision = np.concatenate([[_FREE], np.full(n, 1 / slopes), np.full(count - n - 1, 1 / curvatures)])
        covariance = np.linalg.inv(gram / rest + np.diag(precision))
        found = covariance @ (projected / rest)
        spread = np.diag(covariance)
        left = y - features @ found
        slopes = max(float(np.mean(found[1 : n + 1] ** 2 + spread[1 : n + 1])), _LEAST_VARIANCE)
        curvatures = max(float(np.mean(found[n + 1 :] ** 2 + spread[n + 1 :])), _LEAST_VARIANCE)
        rest = max((float(weights @ left**2) + rest * (count - float(precision @ spread))) / total, _LEAST_VARIANCE)
    hess = np.zeros((n, n))
    hess[np.triu_indices(n)] = found[n + 1 :]
    hess = hess + hess.T - np.diag(np.diag(hess))
    constant = centre + unit * float(found[0])
    return Quadratic(
        found[1 : n + 1], hess, covariance[1 : n + 1, 1 : n + 1], float(np.sqrt(rest)) * unit, constant, unit
    )


def _features(points: Array) -> Array:
    """Constant, coordinates, and their products, halves of squares."""
    i, j = np.triu_indices(points.shape[1])
    products = points[:, i] * points[:, j] * np.where(i == j, 0.5, 1.0)
    found: Array = np.concatenate([np.ones((len(points), 1)), points, products], axis=1)
    return found
