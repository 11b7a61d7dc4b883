"""Quick tasks on which constants are measured, each with its pairing and budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from invopt import estimators, optimizers, problems

__all__ = ["TASKS", "Task", "factors_of", "tasks_of"]


class Task(NamedTuple):
    """A problem with its pairing; None is chosen automatically."""

    problem: Callable[[], Any]
    estimator: Callable[[], Any] | None = None
    method: Callable[[], Any] | None = None
    maxfev: int = 400


def _bent(x):
    return float(x @ x + 0.3 * x[0] * x[1] + 0.05 * (x**3).sum())


def _unseeded(x):
    return _bent(x) + 0.02 * np.random.default_rng(crc32(x.tobytes())).standard_normal()


def noisy_values() -> problems.Function:
    """A quadratic with a third-order term, and noise that differs at every point."""
    return problems.Function(fun=_unseeded, x0=[1.5, -1.0], x_opt=[0.0, 0.0])


def sparse_residuals() -> problems.Function:
    """A row of 64 unknowns seen through a blur of 3, with noise of standard deviation 0.002."""
    truth = np.random.default_rng(0).uniform(0.2, 0.8, 64)

    def fun(x, seed):
        error = x - truth
        blurred = 0.6 * error + 0.2 * np.roll(error, 1) + 0.2 * np.roll(error, -1)
        return np.repeat(blurred, 3) + 0.002 * np.random.default_rng(seed).standard_normal(192)

    return problems.Function(
        fun=fun, x0=np.full(64, 0.5), x_opt=truth, sigma=0.1, residuals=True, sparse=True, seeded=True
    )


def _rosenbrock(x):
    return float((10 * (x[1] - x[0] ** 2)) ** 2 + (1 - x[0]) ** 2)


def banana() -> problems.Function:
    """Rosenbrock's function."""
    return problems.Function(fun=_rosenbrock, x0=[-1.2, 1.0], x_opt=[1.0, 1.0], sigma=0.5)


def _box2() -> problems.Box2:
    return problems.Box2(resolution=32)


TASKS = {
    "sparse": Task(sparse_residuals, maxfev=120),
    "texture": Task(lambda: problems.Texture(size="tiny"), maxfev=60),
    "bfgs": Task(banana, estimators.FiniteDifference, optimizers.BFGS),
    "adam": Task(problems.Quadratic, estimators.FR22, optimizers.Adam, maxfev=800),
    "adam-exact": Task(problems.Quadratic, estimators.FiniteDifference, optimizers.Adam, maxfev=2000),
    "descent": Task(problems.Quadratic, estimators.FiniteDifference, optimizers.GradientDescent, maxfev=800),
    "newton": Task(banana, estimators.FiniteDifference, lambda: optimizers.Newton(max_trust_radius=100.0), maxfev=800),
    "newton-cg": Task(_box2, estimators.SharedSamples, optimizers.NewtonCG),
    "aggregate-hvp": Task(_box2, estimators.AggregateHVP, optimizers.FletcherReevesCG, maxfev=600),
    "aggregate-hessian": Task(_box2, estimators.AggregateHessian, optimizers.Newton, maxfev=600),
    "hessian-free": Task(_box2, estimators.SharedSamples, lambda: optimizers.HessianFree(every=2)),
    "adaptive-bfgs": Task(noisy_values, estimators.FunctionValue, optimizers.AdaptiveBFGS, maxfev=800),
    "adaptive-banana": Task(banana, estimators.FunctionValue, optimizers.AdaptiveBFGS, maxfev=800),
    "nelder-mead": Task(problems.Quadratic, estimators.FunctionValue, lambda: optimizers.Scipy("nelder-mead")),
    "tnc": Task(banana, estimators.FiniteDifference, lambda: optimizers.Scipy("tnc")),
    "trust-exact": Task(banana, estimators.FiniteDifference, lambda: optimizers.Scipy("trust-exact"), maxfev=800),
}

# Tasks on which a constant matters, by the name of its module or its own; the longest that fits counts.
TASKS_OF = {
    "estimators.least_squares.footprints": ("texture",),
    "estimators.least_squares.joint_perturbations": ("sparse", "texture"),
    "estimators.shared_samples": ("newton-cg",),
    "estimators.smoothing.curvature": ("aggregate-hvp", "aggregate-hessian"),
    "estimators.smoothing.sampled": ("adam",),
    "estimators.sparse_gauss_newton": ("sparse", "texture"),
    "optimizers.adam:_RATE": ("adam-exact",),
    "optimizers.adam:_RATE_IN_SIGMA": ("adam",),
    "optimizers.adaptive_bfgs": ("adaptive-bfgs", "adaptive-banana"),
    "optimizers.descent.box": ("newton-cg", "hessian-free"),
    "optimizers.descent.quasi_newton": ("bfgs", "adaptive-bfgs"),
    "optimizers.gradient_descent": ("descent",),
    "optimizers.hessian_free": ("hessian-free",),
    "optimizers.newton": ("newton",),
    "optimizers.scipy_method": ("tnc", "trust-exact"),
}
# Multiples of the value: half and double, or a hundredth and a hundred times where only the order of magnitude counts.
FACTORS = (1.0, 0.5, 2.0)
FACTORS_OF = {
    "optimizers.descent.quasi_newton": (1.0, 0.01, 100.0),
    "optimizers.newton:_TAKEN": (1.0, 0.1, 10.0),
    "optimizers.scipy_method:_NEARBY": (1.0, 0.01, 100.0),
    "estimators.shared_samples": (1.0, 0.95, 1.05),
    "estimators.smoothing.curvature": (1.0, 0.95, 1.05),
    "estimators.smoothing.sampled": (1.0, 0.97, 1.02),
}


def _entry(table: dict[str, Any], name: str, default: Any) -> Any:
    return table.get(name, table.get(name.partition(":")[0], default))


def tasks_of(name: str) -> tuple[str, ...]:
    """Tasks on which a constant is measured by default; none if none is known."""
    found: tuple[str, ...] = _entry(TASKS_OF, name, ())
    return found


def factors_of(name: str) -> tuple[float, ...]:
    """Multiples of a constant's value that are measured by default."""
    found: tuple[float, ...] = _entry(FACTORS_OF, name, FACTORS)
    return found
