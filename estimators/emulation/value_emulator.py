"""ValueEmulator: universal kriging of values."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from invopt.plugin import ValueModel

from .kernel import Metric
from .universal_kriging import Kriged, krige

__all__ = ["ValueEmulator", "emulate"]

Array = NDArray[np.float64]

# Centre of the prior of the kernel's length, in sigmas: values, squares of residuals, bend over two thirds of what
# residuals do.
_USUAL_LENGTH_OF_VALUES = 2.0
# Least standard deviation of the values that they are divided by.
_LEAST_SPREAD = 1e-300


@frozen(kw_only=True, eq=False)
class ValueEmulator(ValueModel):
    """Universal kriging of values, as the model of an estimate.

    Parameters
    ----------
    points : ndarray, shape (N, n)
        Points of all samples, in units of `x_scale`.
    values : ndarray, shape (N,)
        Their values.
    unit : float
        Length of a sigma, in units of `x_scale`.
    kriged : Kriged
        Prediction of the scaled values of some samples, for points in units of `unit`.
    scaled : ndarray, shape (k,)
        These values.
    centre, spread : float
        Their zero and their unit.
    """

    points: Array
    values: Array
    unit: float
    kriged: Kriged
    scaled: Array
    centre: float
    spread: float

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Mean and variance at the rows of `x`."""
        weights, variance = self.kriged.weights_of_many(x / self.unit)
        return self.centre + self.spread * (weights[0] @ self.scaled), self.spread**2 * variance[0]

    def slopes(self, x: Array) -> tuple[float, float, Array, Array]:
        """Mean and variance at `x` of shape (n,), and their derivatives."""
        weights, slopes, variance, variance_slope = self.kriged.weights(x / self.unit)
        mean = self.centre + self.spread * float(weights[0] @ self.scaled)
        mean_slope = self.spread / self.unit * (slopes[0].T @ self.scaled)
        square = self.spread**2
        return mean, square * float(variance[0]), mean_slope, square / self.unit * variance_slope[0]

    def distances(self, x: Array, to: Array) -> Array:
        """Distances of the rows of `x` from a point, modulo the periods."""
        squares = self.kriged.metric.squares(x / self.unit, to[None] / self.unit)[..., 0]
        found: Array = np.sqrt(squares.sum(0)) * self.unit
        return found


def emulate(points: Array, values: Array, kept: NDArray[np.intp], metric: Metric, unit: float) -> ValueEmulator:
    """Fit a model to the samples of the numbers `kept`.

    Points are in units of sigma, which is `unit` in units of `x_scale`.
    """
    chosen = values[kept]
    centre, spread = float(chosen.mean()), max(float(chosen.std()), _LEAST_SPREAD)
    scaled = (chosen - centre) / spread
    kriged = krige(points[kept], np.outer(scaled, scaled)[None], metric, secant=False, usual=_USUAL_LENGTH_OF_VALUES)
    return ValueEmulator(
        points=points * unit,
        values=values,
        unit=unit,
        kriged=kriged,
        scaled=scaled,
        centre=centre,
        spread=spread,
    )
