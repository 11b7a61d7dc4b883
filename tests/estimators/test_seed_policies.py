"""Seed policies in whole runs: the seeds that the objective receives."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import invopt
from invopt import Capability, IncompatibleError, Status, estimators, optimizers, problems
from invopt.core.registry import names

TARGET = np.array([1.0, 2.0])
T = np.linspace(0.0, 1.0, 30)
# What reads both sides of an equation has no function that could record.
SIDES = {"DualBuffer", "FullGradient", "SemiGradient", "WeightedDualBuffer"}
ESTIMATORS = sorted({cls.__name__ for cls in names("estimators").values()} - SIDES)
METHODS = sorted({cls.__name__ for cls in names("optimizers").values()} - {"Scipy"})
SCIPYS = ["nelder-mead", "l-bfgs-b", "trust-constr", "trust-exact"]
# Has an estimate repeated, with its seeds.
REPEATS = {"HessianFree"}


class Recorded:
    """Two parameters, noise by the seed; records the seeds of values and derivatives."""

    def __init__(self):
        self.seeds, self.of_derivatives = [], []

    def noise(self, seed, size=None):
        self.seeds.append(seed)
        return 0.01 * np.random.default_rng(seed).standard_normal(size)

    def value(self, x, seed):
        # Noise of each point, besides the noise that all points share under a seed.
        point = 7919 * int(1e6 * abs(x[0])) + int(1e6 * abs(x[1]))
        noise = self.noise(seed, 2) @ x + 1e-3 * np.random.default_rng([seed, point]).standard_normal()
        return float(((x - TARGET) ** 2).sum() + 0.3 * x[0] * x[1] + noise)

    def residuals(self, x, seed):
        return x[0] * np.exp(-x[1] * T) - np.exp(-2 * T) + self.noise(seed, T.size)

    def jac(self, x, seed):
        self.of_derivatives.append(seed)
        return 2 * (x - TARGET) + 0.3 * x[::-1]

    def hess(self, x, seed):
        self.of_derivatives.append(seed)
        return np.array([[2.0, 0.3], [0.3, 2.0]])

    def problem(self, estimator):
        if Capability.RESIDUALS in estimator.needs:
            return problems.Function(fun=self.residuals, x0=[0.5, 0.7], seeded=True, residuals=True)
        return problems.Function(fun=self.value, jac=self.jac, hess=self.hess, x0=[0.5, 0.7], seeded=True)


def made(name, policy):
    if name == "NewtonTarget":
        return estimators.NewtonTarget(estimator=estimators.GaussNewton(seeds=policy), steps=6, restarts=1, rest=2)
    return getattr(estimators, name)(seeds=policy)


def pairs(name, policy, **options):
    """Run every method that accepts the estimator."""
    estimator, runs = made(name, policy), 0
    for method in [*(getattr(optimizers, method)() for method in METHODS), *map(optimizers.Scipy, SCIPYS)]:
        recorded = Recorded()
        try:
            invopt.minimize(recorded.problem(estimator), estimator, method, rng=0, **options)
        except IncompatibleError:
            continue
        runs += 1
        yield type(method).__name__, recorded
    assert runs >= 4


@pytest.mark.parametrize("name", ESTIMATORS)
def test_fixed_means_seed_0_throughout(name):
    for method, recorded in pairs(name, "fixed", maxfev=80, maxiter=60):
        assert set(recorded.seeds + recorded.of_derivatives) == {0}, method


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name != "SparseGaussNewton"])
def test_fresh_means_that_no_seed_comes_twice(name):
    for method, recorded in pairs(name, "fresh", maxfev=80, maxiter=60):
        if method not in REPEATS:
            assert len(set(recorded.seeds)) == len(recorded.seeds) > 1, method


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_default_draws_seeds(name):
    """Check that the tests above are not vacuous."""
    assert any(len(set(recorded.seeds)) > 1 for _, recorded in pairs(name, "per_pair", maxfev=80, maxiter=60))


MEMORIES = ["GaussNewton", "Kriging", "NewtonTarget", "SparseGaussNewton"]


@functools.cache
def to_the_end(name, policy):
    """A run until it ends by itself, and its seeds."""
    recorded, estimator = Recorded(), made(name, policy)
    method = optimizers.Adam(lr=0.1) if name == "NewtonTarget" else None
    maxiter = 40 if name == "NewtonTarget" else 400
    problem = recorded.problem(estimator)
    return invopt.minimize(problem, estimator, method, rng=0, maxiter=maxiter, maxfev=4000), recorded.seeds


@pytest.mark.parametrize("name", MEMORIES)
def test_where_noise_is_measured_fixed_is_seed_0_and_fresh_none_twice(name):
    _, seeds = to_the_end(name, "fixed")
    assert set(seeds) == {0}
    if name != "SparseGaussNewton":
        _, seeds = to_the_end(name, "fresh")
        assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize("name", ["GaussNewton", "Kriging", "SparseGaussNewton"])
def test_where_seeds_do_not_vary_there_is_no_noise_to_speak_of(name):
    noisy, _ = to_the_end(name, "per_pair")
    assert noisy.status is Status.NOISE_FLOOR
    assert (noisy.x_standard_error > 0).all()
    fixed, _ = to_the_end(name, "fixed")
    assert fixed.status is not Status.NOISE_FLOOR
    assert fixed.x_standard_error is None
    assert "noise allows" not in fixed.message


@pytest.mark.parametrize("name", ["GaussNewton", "Kriging"])
def test_where_seeds_do_not_vary_no_evaluation_is_spent_on_noise(name):
    """The run equals that of the function under seed 0, without evaluations to detect noise."""
    recorded, estimator = Recorded(), made(name, "fixed")
    points = []

    def counted(x, seed):
        points.append(x.tobytes())
        return recorded.residuals(x, seed)

    problem = problems.Function(fun=counted, x0=[0.5, 0.7], seeded=True, residuals=True)
    descent = invopt.minimize(problem, estimator, rng=0, maxfev=400).history.nfev[-1]
    assert len(set(points[:descent])) == descent


def test_sparse_gauss_newton_compares_its_perturbations():
    with pytest.raises(ValueError, match="'seeds' must be per_pair, per_iteration or fixed: .*: 'fresh'"):
        estimators.SparseGaussNewton(seeds="fresh")


@pytest.mark.parametrize("name", ["FiniteDifference", "SharedSamples", "SparseGaussNewton"])
def test_per_iteration_is_one_seed_an_estimate(name):
    recorded, estimator = Recorded(), made(name, "per_iteration")
    res = invopt.minimize(
        recorded.problem(estimator), estimator, "adam" if name != "SparseGaussNewton" else None, rng=0, maxiter=5
    )
    # The second estimate of SparseGaussNewton tests the Jacobian of the first, under the same seed.
    shared = name == "SparseGaussNewton"
    assert len(set(recorded.seeds[: res.history.nfev[-1]])) == res.nit + 1 - shared
