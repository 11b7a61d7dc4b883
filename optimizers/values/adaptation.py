"""Adaptation of the normal distribution of CMA-ES."""

from __future__ import annotations

import math

import numpy as np

from .space import Array

__all__ = ["Adaptation", "default_population"]

# Most parameters with a full covariance matrix, which costs n**2 a point; beyond, only its diagonal is adapted.
_MOST_FULL = 100
# Least variance of an axis relative to the largest.
_LEAST_AXIS = 1e-20
# Share of a generation that decides whether it lies on a plateau, and the factor exp(0.2) of pycma by which sigma then
# grows.
_PLATEAU_OFFSET, _PLATEAU_SHARE, _PLATEAU_GROWTH = 0.1, 0.25, 0.2
# Eigenvectors are computed again after a generation that changes a tenth of the matrix: Hansen, eq. (B.2).
_LAZINESS = 0.1


def default_population(n: int) -> int:
    """Points of a generation: 4 + 3 log n, as in CMA-ES."""
    return 4 + int(3 * math.log(n))


class Adaptation:
    """Mean, step length and covariance, adapted by ranked points.

    All constants are those of the tutorial [1]_, with negative weights, and for more than 100 parameters those of the
    separable variant [2]_.

    Parameters
    ----------
    mean : ndarray, shape (n,)
        First mean.
    sigma : float
        First standard deviation.
    population : int
        Points of a generation.

    References
    ----------
    .. [1] Hansen, "The CMA Evolution Strategy: A Tutorial", arXiv:1604.00772, 2016.
    .. [2] Ros, Hansen, "A Simple Modification in CMA-ES Achieving Linear Time and Space Complexity", PPSN 2008.
    """

    def __init__(self, mean: Array, sigma: float, population: int) -> None:
        n, self.mean, self.sigma = len(mean), mean.copy(), sigma
        mu = population // 2
        raw = math.log((population + 1) / 2) - np.log(np.arange(1, population + 1))
        self._weights = raw[:mu] / raw[:mu].sum()
        self._mass = mass = float(1 / np.sum(self._weights**2))
        self._cc = (4 + mass / n) / (n + 4 + 2 * mass / n)
        self._cs = (mass + 2) / (n + mass + 5)
        self._c1 = 2 / ((n + 1.3) ** 2 + mass)
        self._cmu = min(1 - self._c1, 2 * (0.25 + mass + 1 / mass - 2) / ((n + 2) ** 2 + mass))
        self._damping = 1 + 2 * max(0.0, math.sqrt((mass - 1) / (n + 1)) - 1) + self._cs
        self._full = n <= _MOST_FULL
        if not self._full:
            faster = (n + 2) / 3
            self._c1 = min(1.0, self._c1 * faster)
            self._cmu = min(1 - self._c1, self._cmu * faster)
        negative = raw[mu:]
        negative_mass = float(negative.sum() ** 2 / np.sum(negative**2))
        most = min(
            1 + self._c1 / self._cmu,
            1 + 2 * negative_mass / (mass + 2),
            (1 - self._c1 - self._cmu) / (n * self._cmu),
        )
        self._negative = most * negative / np.abs(negative).sum()
        self._mean_length = math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n))
        self._covariance = np.eye(n) if self._full else np.ones(n)
        self._vectors, self.axes = (np.eye(n) if self._full else np.ones(n)), np.ones(n)
        self._path, self._step_path = np.zeros(n), np.zeros(n)
        self._generation, self._decomposed = 0, -math.inf

    @property
    def longest(self) -> float:
        """Standard deviation along the longest axis."""
        return self.sigma * float(self.axes.max())

    def points(self, draws: Array) -> Array:
        """Points of standard normal draws of shape (k, n)."""
        self._decompose()
        found: Array = self.mean + self.sigma * self.turned(draws * self.axes)
        return found

    def whitened(self, points: Array) -> Array:
        """Draws of which points are made."""
        self._decompose()
        found: Array = self._turned_back((points - self.mean) / self.sigma) / self.axes
        return found

    def learn(self, points: Array, values: Array) -> None:
        """Adapt to a generation."""
        n, mu = len(self.mean), len(self._weights)
        order = values.argsort(kind="stable")
        steps = (points - self.mean) / self.sigma
        self._generation += 1
        moved = self._weights @ steps[order[:mu]]
        self.mean = self.mean + self.sigma * moved
        whitened = self.turned(self._turned_back(moved) / self.axes)
        self._step_path = (1 - self._cs) * self._step_path
        self._step_path += math.sqrt(self._cs * (2 - self._cs) * self._mass) * whitened
        length = float(np.linalg.norm(self._step_path))
        usual = math.sqrt(1 - (1 - self._cs) ** (2 * self._generation)) * (1.4 + 2 / (n + 1)) * self._mean_length
        short = float(length < usual)
        self._path = (1 - self._cc) * self._path + short * math.sqrt(self._cc * (2 - self._cc) * self._mass) * moved
        worst = steps[order[mu:]]
        lengths = np.sum((self._turned_back(worst) / self.axes) ** 2, 1) + 1e-30
        kept = 1 + self._c1 * (1 - short) * self._cc * (2 - self._cc) - self._c1
        kept -= self._cmu * (1 + float(self._negative.sum()))
        good, bad = steps[order[:mu]], self._negative * n / lengths
        if self._full:
            change = self._c1 * np.outer(self._path, self._path)
            change += self._cmu * ((good.T * self._weights) @ good + (worst.T * bad) @ worst)
        else:
            change = self._c1 * self._path**2 + self._cmu * (self._weights @ good**2 + bad @ worst**2)
        self._covariance = kept * self._covariance + change
        self.sigma *= math.exp(min(1.0, self._cs / self._damping * (length / self._mean_length - 1)))
        last = min(len(values) - 1, 1 + int(_PLATEAU_OFFSET + _PLATEAU_SHARE * len(values)))
        if values[order[0]] == values[order[last]]:
            self.sigma *= math.exp(_PLATEAU_GROWTH + self._cs / self._damping)

    def _decompose(self) -> None:
        """Eigenvectors and axes of the covariance, if it has changed enough."""
        n = len(self.mean)
        if self._generation - self._decomposed < _LAZINESS / (self._c1 + self._cmu) / n:
            return
        self._decomposed = self._generation
        if self._full:
            self._covariance = (self._covariance + self._covariance.T) / 2
            variances, self._vectors = np.linalg.eigh(self._covariance)
        else:
            variances = self._covariance
        self.axes = np.sqrt(np.maximum(variances, _LEAST_AXIS * variances.max()))

    def turned(self, rows: Array) -> Array:
        """Rows in the coordinates of x, from those along the axes."""
        turned: Array = rows @ self._vectors.T if self._full else rows
        return turned

    def _turned_back(self, rows: Array) -> Array:
        turned: Array = rows @ self._vectors if self._full else rows
        return turned
