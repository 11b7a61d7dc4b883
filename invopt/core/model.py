"""Model and ValueModel: predictions between the points of evaluations."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Instrument", "Model", "Prediction", "Slopes", "ValueModel"]

Array = NDArray[np.float64]

# Added to variances, which may be 0.
_TINY = 1e-100
# Share of the best sample's squares that is added to the variance.
_MISFIT = 0.25


class Prediction(NamedTuple):
    """Predicted residuals at k points, for each of L levels.

    Attributes
    ----------
    mean : ndarray, shape (k, L)
        Sum of squares of the mean.
    variance : ndarray, shape (k, L)
        Sum of the variances.
    """

    mean: Array
    variance: Array


class Slopes(NamedTuple):
    """Prediction at one point with its derivatives.

    Attributes
    ----------
    mean, variance : ndarray, shape (L,)
        As in `Prediction`.
    mean_slope, variance_slope : ndarray, shape (L, n)
        Their derivatives, in units of `x_scale`.
    """

    mean: Array
    variance: Array
    mean_slope: Array
    variance_slope: Array


class Instrument(NamedTuple):
    """Linear projection of residuals to as many numbers as there are parameters.

    Attributes
    ----------
    project : callable
        ``project(residuals)`` of shape (k, n), for residuals of shape (k, m).
    hess : ndarray, shape (n, n)
        Its derivative by x, as the model predicts it.
    """

    project: Callable[[Array], Array]
    hess: Array


class Model(abc.ABC):
    """Emulator of residuals, which may be seen at several levels.

    Level 0 has the residuals themselves. Where they are pictures, further levels are their blurred and sharpened
    versions. All points are in units of the problem's `x_scale`.

    Attributes
    ----------
    points : ndarray, shape (N, n)
        Points of the samples.
    numbers : ndarray of int, shape (N,)
        Number of each sample in the order of evaluation, from 0; old samples may have been dropped.
    squares : ndarray, shape (N, L)
        Sum of squares of each sample at each level.
    cells : ndarray, shape (L,)
        Number of values of each level that are independent of each other.
    unit : float
        Length of a typical step, in units of `x_scale`.
    """

    points: Array
    numbers: NDArray[np.intp]
    squares: Array
    cells: Array
    unit: float

    @property
    def coarse(self) -> Array:
        """Weight of each level where all count alike, shape (L,).

        The last of several levels does not count: sharpened pictures say where something is only once it overlaps.
        """
        counted = np.ones(len(self.cells))
        counted[-1] = len(counted) == 1
        weights: Array = counted / counted.sum()
        return weights

    @property
    def fine(self) -> Array:
        """Weight of each level by its number of independent values, shape (L,)."""
        weights: Array = self.cells / self.cells.sum()
        return weights

    def merits(self, weights: Array) -> Array:
        """Weighted mean of the logarithms of the samples' sums of squares, shape (N,)."""
        merits: Array = np.log(self.squares + np.finfo(np.float64).tiny) @ weights
        return merits

    @property
    def best(self) -> int:
        """Index of the sample that is lowest, fine levels counting most."""
        return int(np.argmin(self.merits(self.fine)))

    def misfit(self, index: int) -> Array:
        """What the target may differ by from all that the model can make, shape (L,).

        A share of the squares of a sample, to be added to variances.
        """
        misfit: Array = _MISFIT * self.squares[index] + _TINY
        return misfit

    def surprise(self, x: Array, weights: Array, misfit: Array) -> Array:
        """Negative log density of the target at the rows of `x`, shape (k,).

        Weighted over levels; up to a factor and a constant.
        """
        mean, variance = self.predict(x)
        total = variance + misfit
        found: Array = (mean / total + np.log(total)) @ weights
        return found

    @abc.abstractmethod
    def predict(self, x: Array) -> Prediction:
        """Prediction at the rows of `x`, shape (k, n)."""

    @abc.abstractmethod
    def slopes(self, x: Array) -> Slopes:
        """Prediction and its derivatives at `x` of shape (n,)."""

    @abc.abstractmethod
    def distances(self, x: Array, to: Array) -> Array:
        """Distances of the rows of `x` from a point, modulo the periods, shape (k,)."""

    @abc.abstractmethod
    def residuals(self, index: int) -> Array:
        """Residuals of a sample, shape (m,)."""

    @abc.abstractmethod
    def gauss_newton(self, x: Array) -> tuple[Array, Array]:
        """Gradient and Gauss-Newton Hessian at level 0, shapes (n,) and (n, n).

        Of half the sum of squares of the mean.
        """

    @abc.abstractmethod
    def instrument(self, x: Array, residuals: Array) -> Instrument:
        """Projection of residuals at `x`.

        Levels are weighted by residuals of shape (k, m) there.
        """


class ValueModel(abc.ABC):
    """Emulator of the objective's value; all points are in units of `x_scale`.

    Attributes
    ----------
    points : ndarray, shape (N, n)
        Points of all samples.
    values : ndarray, shape (N,)
        Their values, in the order of evaluation.
    unit : float
        Length of a typical step, in units of `x_scale`.
    """

    points: Array
    values: Array
    unit: float

    @abc.abstractmethod
    def predict(self, x: Array) -> tuple[Array, Array]:
        """Mean and variance at the rows of `x`, each of shape (k,)."""

    @abc.abstractmethod
    def slopes(self, x: Array) -> tuple[float, float, Array, Array]:
        """Mean and variance at `x` of shape (n,), and their derivatives."""

    @abc.abstractmethod
    def distances(self, x: Array, to: Array) -> Array:
        """Distances of the rows of `x` from a point, modulo the periods, shape (k,)."""
