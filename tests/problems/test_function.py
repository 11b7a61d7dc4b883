"""Function: a callable of values or residuals as a problem."""

import numpy as np
import pytest
from attrs import evolve

from invopt import minimize, problems
from invopt.exceptions import EvaluationError
from invopt.problems import Function
from invopt.testing import problem_evaluates

T = np.linspace(0.0, 1.0, 40)


def residuals(x):
    return x[0] * np.exp(-x[1] * T) - 2.0 * np.exp(-0.5 * T)


def noisy(x, seed):
    return residuals(x) + 0.02 * np.random.default_rng(seed).standard_normal(len(T))


def test_residuals_are_what_the_contract_says():
    problem_evaluates(problems.Function(fun=residuals, x0=[1.0, 1.0], residuals=True))


def test_residuals_need_fewer_evaluations_than_values():
    def spent(fun, **options):
        problem = problems.Function(fun=fun, x0=[1.0, 1.5], sigma=0.5, **options)
        found = minimize(problem, rng=0, maxfev=400)
        near = np.abs(found.history["x"] - [2.0, 0.5]).max(1) < 0.02
        assert near[-1]
        return found.history["nfev"][np.flatnonzero(~near)[-1] + 1]

    assert spent(residuals, residuals=True) < spent(lambda x: float(np.mean(residuals(x) ** 2)))


def test_many_points_at_once_are_the_same_run():
    one, many = (
        problems.Function(fun=fun, x0=[1.0, 1.5], residuals=True, vectorized=vectorized)
        for fun, vectorized in ((residuals, False), (lambda rows: np.array([residuals(row) for row in rows]), True))
    )
    np.testing.assert_array_equal(*(minimize(each, rng=0, maxfev=20).history["fun"] for each in (one, many)))


def test_at_a_bound_the_run_still_ends_and_says_that_residuals_are_left():
    problem = problems.Function(
        fun=noisy, x0=[1.0, 1.5], sigma=0.5, residuals=True, seeded=True, bounds=[(0, 1.8), (0, 5)]
    )
    found = minimize(problem, rng=0, maxfev=2000)
    assert found.x[0] == pytest.approx(1.8, abs=1e-12)
    assert found.status.name == "MISMATCH"
    assert found.x_standard_error[0] == 0 < found.x_standard_error[1]


@pytest.mark.parametrize(
    ("fun", "message"),
    [
        (lambda x: 1.0, r"real numbers of shape \(m,\), got float of shape \(\)"),
        (lambda x: np.ones((2, 2)), r"shape \(m,\), got ndarray of shape \(2, 2\)"),
        (lambda x: np.ones(0), r"shape \(m,\), got ndarray of shape \(0,\)"),
        (lambda x: np.ones(3 if x[0] > 1 else 4), "number of residuals must be the same at every point"),
    ],
)
def test_residuals_of_a_wrong_shape_are_named(fun, message):
    with pytest.raises(EvaluationError, match=message):
        minimize(problems.Function(fun=fun, x0=[1.0], residuals=True), rng=0, maxfev=20)


@pytest.mark.parametrize("noise", [1e-6, 1e-2])
def test_the_end_at_the_noise_is_not_the_kernels_blur(noise):
    def fun(x, seed):
        return residuals(x) + noise * np.random.default_rng(seed).standard_normal(len(T))

    for seed in range(4):
        problem = problems.Function(fun=fun, x0=[1.0, 1.5], sigma=0.5, residuals=True, seeded=True)
        found = minimize(problem, rng=seed, maxfev=400)
        assert found.status.name == "NOISE_FLOOR"
        assert np.abs(found.x - [2.0, 0.5]).max() < 5 * found.x_standard_error.max() < 10 * noise


def test_periods_count_distances_and_narrow_the_kernel():
    problem = Function(
        fun=lambda x: 1 - np.cos(x[0]) + x[1] ** 2, x0=[3.0, 1.0], periods=[2 * np.pi, np.inf], sigma=4.0
    )
    assert problem.parameter_error(np.array([2 * np.pi, 0.0])) != problem.parameter_error(np.zeros(2))
    known = evolve(problem, x_opt=[0.0, 0.0])
    assert known.parameter_error(np.array([2 * np.pi, 0.0])) == pytest.approx(0.0)
    found = minimize(problem, rng=0, maxfev=200)
    assert found.history["sigma"][0] <= np.pi / 2
    assert np.abs(problem.wrap(found.x)).max() < 1e-2


def test_the_shortest_way_round_is_half_a_period_at_most():
    problem = Function(fun=len, x0=[0.0, 0.0, 0.0], periods=[2.0, 0.5, np.inf])
    differences = np.random.default_rng(0).uniform(-5, 5, (200, 3))
    found = np.array([problem.wrap(difference) for difference in differences])
    assert (np.abs(found[:, :2]) <= [1.0, 0.25]).all()
    turns = (differences - found)[:, :2] / [2.0, 0.5]
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-12)
    np.testing.assert_array_equal(found[:, 2], differences[:, 2])


def test_residuals_of_few_parameters_each():
    target = np.sin(np.arange(60.0))

    def residuals(x):
        return 0.5 * (x + np.roll(x, 1)) + 0.1 * x - target

    problem = Function(fun=residuals, x0=np.zeros(60), residuals=True, sparse=True, sigma=0.1)
    found = minimize(problem, rng=0, maxfev=60)
    assert found.choice.startswith("SparseGaussNewton")
    assert found.fun < 1e-8


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"periods": [1.0, 2.0]}, "'periods'"),
        ({"periods": [0.0]}, "'periods' must be > 0"),
        ({"periods": [np.nan]}, "'periods'"),
        ({"sparse": True}, "'sparse' must be False without residuals"),
        ({"sparse": 1, "residuals": True}, "'sparse'"),
    ],
)
def test_bad_periods_and_sparse_are_named(given, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Function(fun=lambda x: 0.0, x0=[1.0], **given)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((4,), r"'image_shape' must be \(height, width\)"),
        ((4, 0), r"'image_shape' must be \(height, width\)"),
        (((2, 2), (2,)), r"'image_shape' must be \(height, width\)"),
        ((2.5, 2), "'image_shape'"),
    ],
)
def test_shapes_of_pictures_are_checked(shape, message):
    with pytest.raises((TypeError, ValueError), match=message):
        problems.Function(fun=lambda x: np.ones(4), x0=[1.0], residuals=True, image_shape=shape)


def test_pictures_need_residuals_that_contain_them():
    with pytest.raises(ValueError, match="'image_shape' must be left out without residuals"):
        problems.Function(fun=lambda x: 1.0, x0=[1.0], image_shape=(2, 2))
    problem = problems.Function(fun=lambda x: np.ones(3), x0=[1.0], residuals=True, image_shape=(2, 2))
    with pytest.raises(EvaluationError, match=r"at least 4 residuals, and 'fun' returned 3"):
        minimize(problem, rng=0, maxfev=20)


def test_one_picture_or_several():
    def shapes(value):
        return problems.Function(fun=lambda x: x, x0=[1.0], residuals=True, image_shape=value).image_shape

    assert shapes((4, 5)) == shapes([(4, 5)]) == ((4, 5),)
    assert shapes([(4, 5), (2, 2, 3)]) == ((4, 5), (2, 2, 3))
