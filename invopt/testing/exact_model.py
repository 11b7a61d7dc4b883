"""ExactModel and ExactValueModel: models of what is known exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from invopt.core.model import Instrument, Model, Prediction, Slopes, ValueModel

__all__ = ["ExactModel", "ExactValueModel"]

Array = NDArray[np.float64]


class ExactModel(Model):
    """Residuals r(x) = A (x - c), the sum of whose squares is twice a quadratic.

    Directions of negative curvature, which no residuals have, count as without effect. The samples are the point and
    one beside it for each parameter.

    Parameters
    ----------
    x : ndarray, shape (n,)
        The point of the estimate.
    hess : ndarray, shape (n, n)
        Hessian of the quadratic.
    center : float
        Every component of c.
    """

    def __init__(self, x: Array, hess: Array, center: float) -> None:
        values, vectors = np.linalg.eigh(hess)
        self._a: Array = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
        self._center = center
        self.points = np.vstack([x + np.eye(len(x)), x])
        self.numbers = np.arange(len(self.points))
        self.squares = np.square(self._residuals(self.points)).sum(1)[:, None]
        self.cells = np.array([float(len(x))])
        self.unit = 1.0

    def _residuals(self, x: Array) -> Array:
        found: Array = (x - self._center) @ self._a.T
        return found

    def predict(self, x: Array) -> Prediction:
        """Exact residuals, without variance."""
        mean = np.square(self._residuals(x)).sum(1)[:, None]
        return Prediction(mean, np.zeros_like(mean))

    def slopes(self, x: Array) -> Slopes:
        """Exact residuals and their slopes."""
        mean, variance = self.predict(x[None])
        slope = 2 * (self._residuals(x[None]) @ self._a)
        return Slopes(mean[0], variance[0], slope, np.zeros_like(slope))

    def distances(self, x: Array, to: Array) -> Array:
        """Euclidean distances."""
        found: Array = np.linalg.norm(x - to, axis=1)
        return found

    def residuals(self, index: int) -> Array:
        """Residuals of a sample."""
        return self._residuals(self.points[index])

    def gauss_newton(self, x: Array) -> tuple[Array, Array]:
        """Exact derivatives of half the sum of squares."""
        hess: Array = self._a.T @ self._a
        return hess @ (x - self._center), hess

    def instrument(self, x: Array, residuals: Array) -> Instrument:
        """Projection onto the columns of A."""
        return Instrument(lambda rows: rows @ self._a, self._a.T @ self._a)


class ExactValueModel(ValueModel):
    """Values of a quadratic.

    The samples are one beside the point for each parameter, and the point of the estimate.

    Parameters
    ----------
    x : ndarray, shape (n,)
        The point of the estimate.
    hess : ndarray, shape (n, n)
        Hessian of the quadratic.
    center : float
        Every component of its stationary point.
    """

    def __init__(self, x: Array, hess: Array, center: float) -> None:
        self._hess, self._center = hess, center
        self.points = np.vstack([x + np.eye(len(x)), x])
        self.values = self.predict(self.points)[0]
        self.unit = 1.0

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Exact values, without variance."""
        away = x - self._center
        return 0.5 * ((away @ self._hess) * away).sum(1), np.zeros(len(x))

    def slopes(self, x: Array) -> tuple[float, float, Array, Array]:
        """Exact value and slope."""
        return float(self.predict(x[None])[0][0]), 0.0, self._hess @ (x - self._center), np.zeros_like(x)

    def distances(self, x: Array, to: Array) -> Array:
        """Euclidean distances."""
        found: Array = np.linalg.norm(x - to, axis=1)
        return found
