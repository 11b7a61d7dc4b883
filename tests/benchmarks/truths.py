"""Thirty functions of six kinds whose true values are known: smooth, sharp, stepped, noisy, residuals, walls."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

__all__ = ["TRUTHS", "Recorded", "Truth"]

Array = NDArray[np.float64]


@frozen(eq=False)
class Truth:
    """A function without its noise, where runs start, and how much noise is added to what a run sees.

    Attributes
    ----------
    kind, name : str
    fun : callable
        ``fun(x)``: the true value, or the true residuals.
    n : int
    box : tuple of float
        Where starts are drawn.
    noise, share : float
        Standard deviation of the noise that is added to a value or to each residual, and its share of the value.
    bounds : list of pairs or None
    residuals : bool
    """

    kind: str
    name: str
    fun: Callable[[Array], Any]
    n: int
    box: tuple[float, float] = (-4.0, 4.0)
    noise: float = 0.0
    share: float = 0.0
    bounds: list[tuple[float, float]] | None = None
    residuals: bool = False

    def value(self, x: Array) -> float:
        """The true value; of residuals, with what their noise adds to the mean square."""
        found = self.fun(x)
        return float(np.mean(np.square(found))) + self.noise**2 if self.residuals else float(found)

    def error(self, x: Array) -> float:
        """Standard deviation of one measured value."""
        value = self.value(x)
        if not self.residuals:
            return self.noise + (self.share * abs(value) if math.isfinite(value) else 0.0)
        # Of the mean of m squares of normal residuals.
        m, square = np.size(self.fun(x)), self.noise**2
        return math.sqrt((4 * (value - square) * square + 2 * square**2) / m)

    def start(self, seed: int) -> Array:
        """A start, at which the value is finite."""
        rng = np.random.default_rng([seed, 16])
        while True:
            x = rng.uniform(*self.box, self.n)
            if self.bounds is not None:
                x = np.clip(x, *np.array(self.bounds).T)
            if math.isfinite(self.value(x)):
                return x


@frozen(eq=False)
class Recorded:
    """What a run sees of it: values with noise, whose points are remembered."""

    truth: Truth
    points: list[Array] = field(factory=list)

    def __call__(self, x: Array, seed: int) -> Any:
        """Evaluate at a point."""
        self.points.append(np.array(x))
        truth, rng = self.truth, np.random.default_rng(seed)
        found = truth.fun(x)
        noise = rng.standard_normal(np.shape(found))
        return found + truth.noise * noise + (truth.share * found * noise if truth.share else 0.0)


def sphere(x: Array) -> float:
    return float(((x - 0.7) ** 2).sum())


def ill(condition: float) -> Callable[[Array], float]:
    """A quadratic of that condition number, turned."""

    def fun(x: Array) -> float:
        n = len(x)
        turn = np.linalg.qr(np.random.default_rng(n).standard_normal((n, n)))[0]
        return float((np.geomspace(1, condition, n) * (turn @ (x - 0.3)) ** 2).sum())

    return fun


def rosenbrock(x: Array) -> float:
    return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


def powell(x: Array) -> float:
    a, b, c, d = x
    return float((a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4)


def ackley(x: Array) -> float:
    root, waves = math.sqrt((x**2).mean()), np.cos(2 * math.pi * x).mean()
    return float(20 + math.e - 20 * math.exp(-0.2 * root) - math.exp(waves))


def rastrigin(x: Array) -> float:
    return float((x**2 + 10 - 10 * np.cos(2 * math.pi * x)).sum())


def griewank(x: Array) -> float:
    return float(1 + (x**2).sum() / 4000 - np.prod(np.cos(x / np.sqrt(np.arange(1, len(x) + 1)))))


def negative(x: Array) -> float:
    """A minimum below 0."""
    return float((x**4 - 16 * x**2 + 5 * x).sum() / 2)


def corners(x: Array) -> float:
    return float(np.abs(x - 0.4).sum())


def largest(x: Array) -> float:
    return float(np.abs(x - 0.4).max())


def cusp(x: Array) -> float:
    return float(np.sqrt(np.abs(x + 0.2)).sum())


def floor(x: Array) -> float:
    return float((np.floor(2 * x - 0.5) ** 2).sum())


def terraces(x: Array) -> float:
    return float(np.floor(3 * np.linalg.norm(x - 0.7)))


def fine(x: Array) -> float:
    """Steps so fine that they look like noise."""
    return float(np.round(sphere(x), 2))


def plateau(x: Array) -> float:
    return min(sphere(x), 9.0)


def basin(x: Array) -> float:
    return max(sphere(x), 2.0)


def rosenbrock_residuals(x: Array) -> Array:
    return np.concatenate([10 * (x[1:] - x[:-1] ** 2), 1 - x[:-1]])


def decay(x: Array) -> Array:
    t = np.linspace(0, 1, 40)
    return x[0] * np.exp(np.clip(-x[1] * t, -50, 50)) - 2 * np.exp(-t / 2)


def mismatch(x: Array) -> Array:
    """Residuals that nothing brings to 0."""
    t = np.linspace(0, 1, 40)
    return x[0] + x[1] * t - np.sin(9 * t)


def chebyquad(x: Array) -> Array:
    k = np.arange(1, len(x) + 1)
    means = np.array([np.polynomial.chebyshev.chebval(2 * x - 1, np.eye(i + 1)[i]).mean() for i in k])
    return means - np.where(k % 2 == 0, -1.0 / (k**2 - 1.0 + (k == 1)), 0.0)


def edges(x: Array) -> Array:
    """Residuals with steps, as of a silhouette: pixels that a moving edge covers or not."""
    grid = np.linspace(-5, 5, 200)
    return (grid > x[0]) * 1.0 - (grid > 0.3) + 0.3 * ((grid > x[1]) * 1.0 - (grid > -0.8))


def half_plane(x: Array) -> float:
    return math.inf if x[0] + x[1] < 1.3 else sphere(x)


def ring(x: Array) -> float:
    return math.inf if np.linalg.norm(x) > 4.5 or np.linalg.norm(x) < 1 else rosenbrock(x)


TRUTHS = [
    Truth("smooth", "sphere", sphere, 3),
    Truth("smooth", "quadratic, condition 1e4", ill(1e4), 2),
    Truth("smooth", "quadratic, condition 1e4", ill(1e4), 8),
    Truth("smooth", "Rosenbrock", rosenbrock, 2, (-2.0, 2.0)),
    Truth("smooth", "Rosenbrock", rosenbrock, 6, (-2.0, 2.0)),
    Truth("smooth", "Powell", powell, 4),
    Truth("smooth", "Styblinski-Tang", negative, 3),
    Truth("waves", "Ackley", ackley, 2),
    Truth("waves", "Ackley", ackley, 5),
    Truth("waves", "Rastrigin", rastrigin, 3),
    Truth("waves", "Griewank", griewank, 4, (-50.0, 50.0)),
    Truth("sharp", "sum of moduli", corners, 3),
    Truth("sharp", "largest modulus", largest, 4),
    Truth("sharp", "sum of roots", cusp, 2),
    Truth("steps", "floor", floor, 3),
    Truth("steps", "terraces", terraces, 2),
    Truth("steps", "fine steps", fine, 3),
    Truth("steps", "plateau around", plateau, 2),
    Truth("steps", "flat basin", basin, 4),
    Truth("noisy", "sphere, noise 0.1", sphere, 3, noise=0.1),
    Truth("noisy", "Rosenbrock, noise 1", rosenbrock, 4, (-2.0, 2.0), noise=1.0),
    Truth("noisy", "Ackley, noise 0.1", ackley, 2, noise=0.1),
    Truth("noisy", "quadratic, noise 5 %", ill(100), 5, share=0.05),
    Truth("noisy", "floor, noise 0.2", floor, 3, noise=0.2),
    Truth("residuals", "Rosenbrock", rosenbrock_residuals, 5, (-2.0, 2.0), residuals=True),
    Truth("residuals", "decay, noise 0.05", decay, 2, noise=0.05, residuals=True),
    Truth("residuals", "no match, noise 0.02", mismatch, 2, noise=0.02, residuals=True),
    Truth("residuals", "Chebyquad", chebyquad, 6, (0.0, 1.0), residuals=True),
    Truth("residuals", "edges, noise 0.02", edges, 2, noise=0.02, residuals=True),
    Truth("walls", "inf beyond a line", half_plane, 2),
    Truth("walls", "inf beyond a ring", ring, 2),
    Truth("walls", "minimum at a corner", sphere, 3, (1.0, 4.0), bounds=[(1.0, 4.0)] * 3),
    Truth("walls", "narrow box", ill(100), 2, (0.0, 1e-3), bounds=[(0.0, 1e-3)] * 2),
]
