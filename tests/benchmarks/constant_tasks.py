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


def _rosenbrock(x):
    return np.array([10 * (x[1] - x[0] ** 2), 1 - x[0]])


def noisy_residuals(n: int, m: int, noise: float = 0.3) -> problems.Function:
    """Residuals that bend a little, with noise of this standard deviation; 0 is the answer."""
    slope = np.random.default_rng(0).standard_normal((m, n))

    def fun(x, seed):
        return slope @ (x + 0.1 * x**2) + noise * np.random.default_rng(seed).standard_normal(m)

    return problems.Function(fun=fun, x0=np.full(n, 1.5), x_opt=np.zeros(n), residuals=True, seeded=True)


def _steps(x):
    return np.floor(4 * np.concatenate([x, [x.sum()]])) / 4 + 0.125


def _bent(x):
    return float(x @ x + 0.3 * x[0] * x[1] + 0.05 * (x**3).sum())


def _seeded(x, seed):
    draws = np.random.default_rng(seed).standard_normal(3)
    return _bent(x) + 0.05 * draws[0] + 0.1 * draws[1:] @ x


def _unseeded(x):
    return _bent(x) + 0.02 * np.random.default_rng(crc32(x.tobytes())).standard_normal()


def noisy_values(*, seeded: bool) -> problems.Function:
    """A quadratic with a third-order term, and noise: of a seed, or different at every point."""
    return problems.Function(fun=_seeded if seeded else _unseeded, x0=[1.5, -1.0], x_opt=[0.0, 0.0], seeded=seeded)


def wavy_residuals() -> problems.Function:
    """Residuals with false minima and noise; 0 is the answer."""
    waves = np.random.default_rng(1).standard_normal((20, 2))

    def fun(x, seed):
        return np.sin(waves @ x) + 0.05 * np.random.default_rng(seed).standard_normal(20)

    return problems.Function(fun=fun, x0=[2.0, -1.5], x_opt=[0.0, 0.0], residuals=True, seeded=True)


def six_values() -> problems.Function:
    """Six parameters, the most for `SampleHistory` by default, with noise."""

    def fun(x, seed):
        draws = np.random.default_rng(seed).standard_normal(7)
        return float(x @ x + 0.3 * x[:-1] @ x[1:]) + 0.05 * draws[0] + 0.1 * draws[1:] @ x

    return problems.Function(fun=fun, x0=np.full(6, 1.5), x_opt=np.zeros(6), seeded=True)


def singular_residuals() -> problems.Function:
    """Noisy residuals that depend on the sum of two parameters alone."""

    def fun(x, seed):
        noise = 0.05 * np.random.default_rng(seed).standard_normal(20)
        return np.linspace(1.0, 2.0, 20) * x.sum() + noise

    return problems.Function(fun=fun, x0=[1.5, -1.0], x_opt=[0.0, 0.0], residuals=True, seeded=True)


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


def banana(**options: Any) -> problems.Function:
    """Rosenbrock's function, as residuals or as a value."""
    if options.get("residuals"):
        fun = _rosenbrock
    else:

        def fun(x):
            return float(np.square(_rosenbrock(x)).sum())

    return problems.Function(fun=fun, x0=[-1.2, 1.0], x_opt=[1.0, 1.0], sigma=0.5, **options)


def _box2() -> problems.Box2:
    return problems.Box2(resolution=32)


TASKS = {
    "quad": Task(problems.Quadratic, estimators.SampleHistory),
    "box2": Task(_box2),
    "box2-values": Task(_box2, estimators.SampleHistory),
    "mug": Task(lambda: problems.Mug(size="tiny"), maxfev=300),
    "shadow": Task(lambda: problems.Shadow(size="tiny"), maxfev=300),
    "few": Task(lambda: noisy_residuals(2, 8, 0.05)),
    "noisy": Task(lambda: noisy_residuals(3, 60)),
    "noisy5": Task(lambda: noisy_residuals(5, 300), maxfev=800),
    "banana": Task(lambda: banana(residuals=True)),
    "waves": Task(wavy_residuals),
    "steps": Task(lambda: problems.Function(fun=_steps, x0=[1.5, -1.0], x_opt=[0.0, 0.0], residuals=True), maxfev=200),
    "steps-values": Task(
        lambda: problems.Function(fun=lambda x: float(np.square(_steps(x)).sum()), x0=[1.5, -1.0], x_opt=[0.0, 0.0])
    ),
    "noisy-values": Task(lambda: noisy_values(seeded=True), maxfev=600),
    "unseeded-values": Task(lambda: noisy_values(seeded=False)),
    "noisy6-values": Task(six_values, maxfev=800),
    "singular": Task(singular_residuals),
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
    "adaptive-bfgs": Task(
        lambda: noisy_values(seeded=False), estimators.FunctionValue, optimizers.AdaptiveBFGS, maxfev=800
    ),
    "adaptive-banana": Task(banana, estimators.FunctionValue, optimizers.AdaptiveBFGS, maxfev=800),
    "nelder-mead": Task(problems.Quadratic, estimators.FunctionValue, lambda: optimizers.Scipy("nelder-mead")),
    "tnc": Task(banana, estimators.FiniteDifference, lambda: optimizers.Scipy("tnc")),
    "trust-exact": Task(banana, estimators.FiniteDifference, lambda: optimizers.Scipy("trust-exact"), maxfev=800),
}

# Tasks on which a constant matters, by the name of its module or its own; the longest that fits counts.
NOISY = ("shadow", "few", "noisy", "noisy5")
EXACT = ("box2", "noisy", "noisy5", "banana", "steps")
VALUES = ("quad", "noisy-values", "unseeded-values")
EXACT_VALUES = ("quad", "box2-values", "steps-values", "noisy-values")
TASKS_OF = {
    "estimators.history.gauss_newton": NOISY,
    "estimators.history.gauss_newton:_SMALL_SIGMA": ("shadow", "box2", "few", "noisy", "noisy5", "banana", "steps"),
    "estimators.history.gauss_newton:_FEW_PARAMETERS": EXACT,
    "estimators.history.gauss_newton:_MAX_RANK_DEFICIENT": ("singular",),
    "estimators.history.history": EXACT + EXACT_VALUES,
    "estimators.history.history:_HELD_WINDOWS": VALUES,
    "estimators.history.model_minimum": VALUES,
    "estimators.history.noise_floor": NOISY,
    "estimators.history.noise_floor:_NOISE_MULTIPLE": ("waves", "box2", "mug"),
    "estimators.history.noise_floor:_MAX_EXCESS": ("waves", "box2", "mug"),
    "estimators.history.noise_floor:SIGMA_GROWTH": NOISY + VALUES,
    "estimators.history.noise_floor:MAX_HIDDEN": NOISY + VALUES,
    "estimators.history.regression": EXACT + EXACT_VALUES,
    "estimators.history.sample_history": VALUES,
    "estimators.history.sample_history:_WINDOW_FILL": ("noisy6-values",),
    "estimators.history.window": EXACT + EXACT_VALUES,
    "estimators.least_squares.footprints": ("texture",),
    "estimators.least_squares.joint_perturbations": ("sparse", "texture"),
    "estimators.least_squares.parameter_covariance": NOISY,
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
    "estimators.history.regression:_RIDGE_LINEAR": (1.0, 0.01, 100.0),
    "estimators.history.regression:_RIDGE_QUADRATIC": (1.0, 0.01, 100.0),
    "estimators.history.regression:_LEAST_WEIGHT": (1.0, 0.01, 100.0),
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
