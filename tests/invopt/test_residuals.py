"""The default of residuals: odd units, parameters without effect, residuals that vanish."""

import numpy as np
import pytest

from invopt import minimize, problems
from invopt.exceptions import NonFiniteError


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_parameters_that_change_no_residual_are_an_end(noise):
    t = np.linspace(0, 1, 50)

    def residuals(x, seed):
        return (x[0] - 1) * t + noise * np.random.default_rng(seed).standard_normal(50)

    problem = problems.Function(fun=residuals, x0=[2.0, 2.0], residuals=True, seeded=True)
    found = minimize(problem, rng=0, maxfev=400)
    assert found.nfev < 200
    assert found.x[0] == pytest.approx(1.0, abs=0.05)
    if noise:
        assert found.x_standard_error is None
        assert "do not determine all parameters" in found.message


def test_fewer_residuals_than_parameters_are_said():
    problem = problems.Function(fun=lambda x: np.array([x[0] + x[1] - 1]), x0=[3.0, 3.0], residuals=True)
    found = minimize(problem, rng=0, maxfev=200)
    assert found.x.sum() == pytest.approx(1.0, abs=1e-6)
    assert "1 residuals do not determine 2 parameters" in found.message


@pytest.mark.parametrize("unit", [1.0, 1e-3, 1e-6])
def test_small_units_are_no_small_gradients(unit):
    t = np.linspace(0, 1, 40)

    def residuals(x):
        return unit * (x[0] * np.exp(-x[1] * t) - 2 * np.exp(-0.5 * t))

    for seed in range(4):
        problem = problems.Function(fun=residuals, x0=[3, 1.5], sigma=0.5, residuals=True)
        found = minimize(problem, rng=seed, maxfev=400)
        assert found.success
        np.testing.assert_allclose(found.x, [2, 0.5], atol=1e-3)


def test_units_whose_squares_no_number_holds():
    def minimized(unit):
        problem = problems.Function(fun=lambda x: unit * (x - [1.0, 2.0]), x0=[3.0, 3.0], residuals=True)
        return minimize(problem, rng=0, maxfev=200)

    # All squares are 0, but no residual is known to be.
    assert not minimized(1e-170).success
    with pytest.raises(NonFiniteError):
        minimized(1e200)


def test_nothing_left_of_the_residuals_is_an_end():
    steps = problems.Function(fun=lambda x: (x > [0.3, 0.7]) - [0.0, 1.0], x0=[1.0, 0.0], residuals=True)
    found = minimize(steps, rng=0)
    assert found.success
    assert found.fun == 0
    assert found.nfev < 100


def test_a_far_answer_is_reached_with_growing_steps():
    problem = problems.Function(fun=lambda x: x - [1.0, 2.0], x0=[300.0, 300.0], residuals=True)
    found = minimize(problem, rng=0)
    assert found.success
    # Of one sigma each, they would take more than 560 evaluations.
    assert found.nfev < 450
    np.testing.assert_allclose(found.x, [1.0, 2.0], atol=1e-3)


def test_where_nothing_changes_the_start_is_the_answer():
    problem = problems.Function(fun=lambda x: np.ones(5), x0=[3.0, 2.0], residuals=True)
    found = minimize(problem, rng=2)
    assert found.status.name == "PLATEAU"
    np.testing.assert_array_equal(found.x, [3.0, 2.0])
