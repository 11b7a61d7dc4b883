"""LeastSurprise: few evaluations on smooth and stepped residuals, bounds, ends."""

import numpy as np
import pytest
from scipy.optimize import Bounds

from invopt import Status, minimize, optimizers, problems
from invopt.exceptions import IncompatibleError


def solve(fun, x0, maxfev=100, seed=1000, **settings):
    problem = problems.Function(fun=fun, x0=x0, residuals=True, **settings)
    return minimize(problem, "kriging", "least-surprise", rng=seed, maxfev=maxfev)


def rosenbrock(x):
    return np.array([10 * (x[1] - x[0] ** 2), 1 - x[0]])


@pytest.mark.parametrize("seed", range(1000, 1002))
def test_rosenbrock_in_a_few_evaluations(seed):
    """It takes BFGS with differences about 120, and Gauss-Newton with differences about 60."""
    result = solve(rosenbrock, [-1.2, 1.0], seed=seed)
    assert result.success
    assert result.nfev <= 45
    assert result.fun < 1e-5


def test_linear_residuals_with_many_parameters():
    a = np.random.default_rng(6).normal(size=(60, 30))
    result = solve(lambda x: a @ (x - 1), np.zeros(30))
    assert result.success
    assert result.nfev <= 3 * 31
    np.testing.assert_allclose(result.x, 1.0, atol=1e-3)


def test_residuals_that_remain_are_no_mismatch_without_pictures():
    a, b = np.random.default_rng(5).normal(size=(30, 3)), np.random.default_rng(6).normal(size=30)
    result = solve(lambda x: a @ x - b, np.zeros(3))
    assert result.success
    np.testing.assert_allclose(result.x, np.linalg.lstsq(a, b, rcond=None)[0], atol=1e-4)


def test_steps():
    """Each residual is a step function of one parameter; derivatives are 0 almost everywhere."""
    offsets = np.linspace(0, 1, 30)

    def steps(x):
        return np.floor(4 * np.asarray(x)[:, None] + offsets).ravel()

    answer = np.array([0.3, 0.7, -0.4, 0.1])
    result = solve(lambda x: steps(x) - steps(answer), np.full(4, 1.5))
    assert result.fun == 0.0
    assert result.nfev <= 60


def test_no_point_leaves_the_bounds():
    seen = []

    def fun(x):
        seen.append(x.copy())
        return np.array([x[0] + 1, x[1] - 3, x[0] * x[1]])

    result = solve(fun, [0.9, 0.1], bounds=Bounds([0, 0], [1, 1]))
    points = np.array(seen)
    assert points.min() >= 0
    assert points.max() <= 1
    np.testing.assert_allclose(result.x, [0, 1], atol=1e-3)


def test_constant_residuals_are_a_plateau():
    result = solve(lambda x: np.ones(4), [0.0, 0.0])
    assert result.status is Status.PLATEAU
    assert not result.success


def test_the_way_off_a_plateau_gets_longer():
    """All samples of the design are equal; residuals change from two scales away on."""
    result = solve(lambda x: np.minimum(np.abs(x - 6), 4), [0.0, 0.0], maxfev=150)
    assert result.history.fun[0] == 16
    assert result.fun < 4


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"radius": 0.0}, "'radius' must be > 0"),
        ({"radius": 2.0, "max_radius": 1.0}, "'max_radius' must be >= radius = 2"),
    ],
)
def test_bad_settings(settings, words):
    with pytest.raises(ValueError, match=words):
        optimizers.LeastSurprise(**settings)


def test_it_needs_a_model():
    with pytest.raises(IncompatibleError, match="LeastSurprise needs MODEL"):
        minimize(problems.Quadratic(), "fr22", "least-surprise", maxfev=10)
