"""Functions and pairings for runs that end early, and the rules of their answers."""

import math
import time

import numpy as np

PAIRS = {
    "default": (None, None),
    "nelder-mead": ("function-value", "nelder-mead"),
    "cobyqa": ("function-value", "cobyqa"),
    "powell": ("function-value", "powell"),
    "bfgs": ("finite-difference", "bfgs"),
    "cmaes": ("function-value", "cmaes"),
    "shared-samples": ("shared-samples", None),
}
BUDGETS = [1, 2, 3, 5, 10, 15, 20, 23, 30]
A = np.random.default_rng(0).standard_normal((4, 4))


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


# Function, number of parameters, and where it is lowest or nearly so.
FUNCTIONS = {
    "sphere": (lambda x: ((x - 0.3) ** 2).sum(), 2, 0.3),
    "sphere of one": (lambda x: ((x - 0.3) ** 2).sum(), 1, 0.3),
    "sphere of ten": (lambda x: ((x - 0.3) ** 2).sum(), 10, 0.3),
    "rosenbrock": (rosenbrock, 2, 1.0),
    "rosenbrock of five": (rosenbrock, 5, 1.0),
    "ill-conditioned": (lambda x: (10.0 ** np.arange(x.size) * x**2).sum(), 4, 0.0),
    "rotated": (lambda x: ((A @ x) ** 2).sum(), 4, 0.0),
    "offset": (lambda x: 1e6 + (x**2).sum(), 2, 0.0),
    "tiny": (lambda x: 1e-200 * (x**2).sum(), 2, 0.0),
    "huge": (lambda x: 1e100 * (x**2).sum(), 2, 0.0),
    "negative": (lambda x: -np.exp(-((x - 5) ** 2).sum()), 2, 5.0),
    "absolute": (lambda x: np.abs(x - 0.5).sum(), 3, 0.5),
    "maximum": (lambda x: np.abs(x + 1).max(), 3, -1.0),
    "root": (lambda x: np.sqrt(np.abs(x)).sum(), 2, 0.0),
    "quartic": (lambda x: ((x - 1) ** 4).sum(), 2, 1.0),
    "steps": (lambda x: (np.floor(2 * x) ** 2).sum(), 2, 0.25),
    "terraces": (lambda x: np.floor(3 * np.linalg.norm(x - 0.7)), 2, 0.7),
    "waves": (lambda x: (x**2 + 2 - 2 * np.cos(6 * x)).sum(), 2, 0.0),
    "hole": (lambda x: 0.0 if np.abs(x - 0.5).max() < 0.01 else 1.0, 2, 0.5),
    "plane": (lambda x: x.sum(), 2, -3.0),
    "constant": (lambda x: 7.0, 2, 0.0),
    "wall": (lambda x: math.inf if x[0] > 1 else (x**2).sum(), 2, 0.0),
}


class Recorded:
    """A function without noise that records its values."""

    def __init__(self, fun, seconds=0.0):
        self.fun, self.seconds, self.values = fun, seconds, []

    def __call__(self, x):
        if self.seconds:
            # Even a sleep of 0 s hands the core to another process.
            time.sleep(self.seconds)
        self.values.append(float(self.fun(x)))
        return self.values[-1]


def starts(n, lowest):
    """Three starts: at the minimum, near it, and random."""
    rng = np.random.default_rng(n)
    return [np.full(n, lowest), lowest + 0.1 * rng.standard_normal(n), rng.uniform(-2, 1, n)]


def check(result, made, x0, *, maxfev=math.inf):
    """Check the rules of an answer for a function without noise."""
    finite, start = [value for value in made.values if math.isfinite(value)], float(made.fun(x0))
    margin = 1e-8 * max(start - result.fun, 0.0) + 1e-12 * abs(result.fun)
    assert result.fun == made.fun(result.x)
    assert result.fun <= min([*finite, start]) + margin
    assert len(made.values) == result.nfev <= maxfev
