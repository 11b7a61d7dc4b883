"""Noise: its level, intervals, and their use by quasi-Newton methods."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
import torch
from scipy.optimize import rosen

from invopt import Status
from invopt.optimizers import BFGS, LBFGS, AdaptiveBFGS, Armijo, ArmijoWolfe, DampedBFGS
from invopt.optimizers.descent.noise import Noise, central_differences, difference_intervals, noise_level
from invopt.optimizers.descent.quasi_newton import curvature_pair, visit
from invopt.optimizers.line_search import EstimatedLine
from invopt.testing import assert_mean


def noisy(sigma, seed):
    rng = np.random.default_rng(seed)
    return lambda X: torch.from_numpy(rosen(X.numpy().T) + sigma * rng.standard_normal(len(X)))


def same(x):
    return x


@pytest.mark.parametrize("sigma", [1e-10, 1e-6, 1e-2])
@pytest.mark.parametrize("x", [[-1.2, 1.0], [1.0, 1.0]])
def test_noise_level_within_the_factor_that_ecnoise_promises(sigma, x):
    x = torch.tensor(x, dtype=torch.float64)
    direction = torch.tensor([0.6, 0.8], dtype=torch.float64)
    levels = [noise_level(noisy(sigma, seed), x, direction, same) / sigma for seed in range(40)]
    # More and Wild call an estimate good within a factor of 4.
    assert np.mean([0.25 <= level <= 4 for level in levels]) >= 0.95


def test_noise_level_of_noise_alone():
    """The mean square of differences is the variance; 1.5 times the level is rejected."""
    x, direction, rng = torch.zeros(2).double(), torch.tensor([0.6, 0.8]).double(), np.random.default_rng(0)

    def fun(X):
        return 1e-4 * torch.from_numpy(rng.standard_normal(len(X)))

    levels = np.array([noise_level(fun, x, direction, same) / 1e-4 for _ in range(300)])
    assert_mean(levels**2, 1.0, alpha=1e-3)
    for planted in (1.5, 1 / 1.5):
        with pytest.raises(AssertionError):
            assert_mean((planted * levels) ** 2, 1.0, alpha=1e-3)


def test_noise_level_of_an_exact_function_is_its_rounding():
    x = torch.tensor([-1.2, 1.0], dtype=torch.float64)
    level = noise_level(noisy(0.0, 0), x, torch.tensor([0.6, 0.8], dtype=torch.float64), same)
    assert 1e-17 < level < 1e-13


@pytest.mark.parametrize("constant", [0.0, 3.0])
def test_noise_level_of_a_constant_is_positive(constant):
    x = torch.zeros(2, dtype=torch.float64)
    level = noise_level(
        lambda X: torch.full((len(X),), constant, dtype=torch.float64), x, torch.tensor([0.6, 0.8]).double(), same
    )
    assert 0 < level < 1e-14


@pytest.mark.parametrize("sigma", [1e-8, 1e-4])
def test_intervals_balance_noise_against_the_third_derivative(sigma):
    x = torch.tensor([-1.2, 1.0], dtype=torch.float64)
    h = difference_intervals(noisy(sigma, 0), x, sigma, same)
    # f''' = 2400 x0 in the first parameter, 0 in the second, whose interval grows to the longest.
    ideal = (3 * sigma / 2880) ** (1 / 3)
    assert ideal / 3 < float(h[0]) < 3 * ideal
    assert float(h[1]) == 1.0


@pytest.mark.parametrize("at", [-1.0, -0.95, 0.0, 0.95, 1.0])
def test_differences_are_of_second_order_next_to_bounds_too(at):
    x = torch.tensor([at, 0.3], dtype=torch.float64)

    def fun(X):
        return 3 * X[:, 0] ** 2 + X[:, 0] * X[:, 1] + X[:, 1]

    noise = Noise(1e-3, torch.full((2,), 0.5, dtype=torch.float64))
    found = central_differences(fun, x, float(fun(x[None])[0]), noise, lambda y: y.clamp(-1, 1))
    assert found.jac.tolist() == pytest.approx([6 * at + 0.3, at + 1])
    assert found.points.abs().max() <= 1


def test_differences_report_their_error():
    x = torch.zeros(2, dtype=torch.float64)
    rng = np.random.default_rng(0)
    noise = Noise(1e-3, torch.tensor([0.1, 0.5], dtype=torch.float64))
    found = [
        central_differences(
            lambda X: torch.from_numpy(1e-3 * rng.standard_normal(len(X))), x, 0.0, noise, lambda y: y.clamp(-1, 1)
        )
        for _ in range(2000)
    ]
    spread = torch.stack([f.jac for f in found]).std(0)
    # Standard deviation of a standard deviation from 2000: 1.6 %; five of those.
    assert spread.tolist() == pytest.approx(found[0].standard_error.tolist(), rel=0.08)


SIGMA = 1e-4


@pytest.mark.parametrize("seed", range(5))
def test_adaptive_bfgs_reaches_the_noise_floor_where_plain_differences_do_not(exact, seed):
    def problem():
        rng = np.random.default_rng(seed)
        return exact.Landscape(
            fun=lambda x: float(rosen(x)) + SIGMA * rng.standard_normal(), jac=None, hess=None, x0=[-1.2, 1.0]
        )

    adaptive = exact.solve(problem(), AdaptiveBFGS(), maxiter=200)
    plain = exact.solve(problem(), BFGS(), exact.PlainDifferences(), maxiter=200)
    assert adaptive.status is Status.FINISHED
    assert rosen(adaptive.x) < 10 * SIGMA
    assert rosen(plain.x) > 1000 * SIGMA


def test_adaptive_bfgs_says_plateau_where_nothing_varies(exact):
    landscape = exact.Landscape(fun=lambda x: 3.0, jac=None, hess=None, x0=[1.0, 2.0])
    res = exact.solve(landscape, AdaptiveBFGS())
    assert res.status is Status.PLATEAU
    assert res.x.tolist() == [1.0, 2.0]


def test_pairs_within_noise_are_skipped(exact):
    first = exact.estimate_of([1.0, 0.0], error=[0.1, 0.1])
    second = exact.estimate_of([1.2, 0.0], error=[0.1, 0.1], x=[1.0, 0.0])
    third = exact.estimate_of([1.4, 0.0], error=[0.1, 0.1], x=[1.0, 0.0])
    unknown = exact.estimate_of([1.2, 0.0], error=[np.inf, np.inf], x=[1.0, 0.0])
    sure = exact.estimate_of([1.0, 0.0])
    before = visit(first.x, first)
    # Two standard errors of s'y are 0.28; unknown ones count as none.
    assert not curvature_pair(before, visit(second.x, second), None).significant
    assert curvature_pair(before, visit(third.x, third), None).significant
    assert curvature_pair(visit(sure.x, sure), visit(unknown.x, unknown), None).significant
    assert curvature_pair(before, visit(first.x, first), None) is None


@pytest.mark.parametrize("search", [Armijo(), ArmijoWolfe()], ids=repr)
def test_line_search_allows_for_the_standard_error_of_values(exact, search):
    # A step up by less than two standard errors is no evidence against the step.
    landscape = exact.from_hessian(np.eye(1), [0.0])
    x = torch.tensor([1.0], dtype=torch.float64)
    base = exact.estimate_of([-1.0], x=x, sigma=1.0, fun=0.5)
    direction = torch.tensor([0.1], dtype=torch.float64)
    oracle = exact.oracle_of(landscape, 1, sigma=1.0)
    sure = EstimatedLine(x, direction, base.jac, base, oracle)
    unsure = EstimatedLine(x, direction, base.jac, attrs.evolve(base, fun_standard_error=1.0), oracle)
    assert search.search(sure, 10.0) is None
    assert search.search(unsure, 10.0) is not None


@pytest.mark.parametrize("method", [BFGS(), LBFGS(), DampedBFGS()], ids=repr)
def test_smoothed_estimates_are_descended_by_their_own_values(exact, method):
    # The raw function is a staircase, flat almost everywhere; the estimator reports its smooth envelope.
    envelope = exact.quadratic(2, 10.0)
    asked = []

    class Smooth(exact.Exact):
        def estimate(self, objective, x, state, rng):
            asked.append(x)
            found, state = super().estimate(objective, x, state, rng)
            return attrs.evolve(found, fun=envelope.fun(x.numpy())), state

    stairs = exact.Landscape(
        fun=lambda x: float(np.floor(envelope.fun(x))), jac=envelope.jac, hess=envelope.hess, x0=envelope.x0
    )
    res = exact.solve(stairs, method, Smooth(landscape=envelope, sigma=1.0))
    assert res.status is Status.CONVERGED
    assert np.abs(res.x - envelope.x_opt).max() < 1e-5
    assert res.history.nfev[-1] == len(asked)
