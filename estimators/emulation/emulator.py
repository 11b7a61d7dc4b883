"""Emulator: the model of an estimate, universal kriging of all residuals."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from invopt.plugin import Instrument, Model, Prediction, Slopes, level_weights, projection

from .universal_kriging import Kriged

__all__ = ["Emulator"]

Array = NDArray[np.float64]

# Least share of the samples' differences that a model must predict for its gradient to have a known error.
_LEAST_PREDICTED = 0.5


@frozen(kw_only=True, eq=False, slots=False)
class Emulator(Model):
    """Universal kriging of residuals, as the model of an estimate.

    Parameters
    ----------
    kriged : Kriged
        Its prediction, for points in units of `unit`.
    levels : list of list of ndarray
        Each sample at each level.
    numbers : ndarray of int, shape (N,)
        Number of each sample in the order of evaluation.
    cells : ndarray, shape (L,)
        Independent values of each level.
    unit : float
        Length of a sigma, in units of `x_scale`.
    shapes : tuple
        Shapes of the pictures among the residuals.
    """

    kriged: Kriged
    levels: list[list[Array]]
    numbers: NDArray[np.intp]
    cells: Array
    unit: float
    shapes: tuple[tuple[int, ...], ...]
    points: Array = field(init=False)
    squares: Array = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "points", self.kriged.points * self.unit)
        object.__setattr__(self, "squares", np.diagonal(self.kriged.grams, axis1=1, axis2=2).T.copy())

    def predict(self, x: Array) -> Prediction:
        """Prediction at the rows of `x`."""
        return Prediction(*self.kriged.predict(x / self.unit))

    def slopes(self, x: Array) -> Slopes:
        """Prediction and its derivatives at `x` of shape (n,)."""
        mean, mean_slope, variance, variance_slope = self.kriged.at(x / self.unit)
        return Slopes(mean, variance, mean_slope / self.unit, variance_slope / self.unit)

    def distances(self, x: Array, to: Array) -> Array:
        """Distances of the rows of `x` from a point, modulo the periods."""
        squares = self.kriged.metric.squares(x / self.unit, to[None] / self.unit)[..., 0]
        found: Array = np.sqrt(squares.sum(0)) * self.unit
        return found

    def gauss_newton(self, x: Array, level: int = 0) -> tuple[Array, Array]:
        """Gradient (n,) and Gauss-Newton Hessian (n, n) of half the mean's sum of squares."""
        w, dw, _, _ = self.kriged.weights(x / self.unit)
        gram = self.kriged.grams[level]
        slopes = dw[level] / self.unit
        return slopes.T @ (gram @ w[level]), slopes.T @ gram @ slopes

    def residuals(self, index: int) -> Array:
        """Residuals of a sample."""
        return self.levels[index][0]

    def instrument(self, x: Array, residuals: Array) -> Instrument:
        """Projection onto the slopes at `x` that the model predicts.

        Every level counts by its number of independent values over its mean square there, and by the share of the
        samples' differences that it predicts.
        """
        _, slopes, _, _ = self.kriged.weights(x / self.unit)
        predicted = np.clip(self.kriged.foretold(), 0.0, 1.0) if self.kriged.has_freedom else np.ones(len(self.cells))
        if not predicted.any():
            predicted = np.ones(len(self.cells))
        jacobians, hess = [], np.zeros((len(x), len(x)))
        for level, weight in enumerate(predicted * level_weights(residuals, self.shapes)):
            jacobian = slopes[level].T @ np.array([sample[level] for sample in self.levels]) / self.unit
            jacobians.append(weight * jacobian)
            hess += weight * jacobian @ jacobian.T
        return Instrument(projection(jacobians, self.shapes), hess)

    def gradient_error(self, x: Array) -> Array:
        """Standard error of the gradient of half the mean's sum of squares, shape (n,).

        That of the slopes, taken as equal for all m residuals; inf where the model predicts less than half of the
        samples' differences.
        """
        if not self.predicts > _LEAST_PREDICTED:
            return np.full(len(x), math.inf)
        w, _, _, _ = self.kriged.weights(x / self.unit)
        m, square = len(self.levels[0][0]), float(w[0] @ self.kriged.grams[0] @ w[0])
        found: Array = np.sqrt(self.kriged.slope_variances(x / self.unit) * max(square, 0.0) / m) / self.unit
        return found

    @cached_property
    def predicts(self) -> float:
        """Share of the samples' differences that the others predict.

        At level 0; nan if there are too few.
        """
        return float(self.kriged.foretold()[0]) if self.kriged.has_freedom else math.nan
