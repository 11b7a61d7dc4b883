"""Results, history, callbacks, units and random numbers of `minimize`."""

import numpy as np
import pytest
import scipy.optimize

import invopt
from invopt import Status, estimators, optimizers, problems

from .counted import rosenbrock, sphere


def test_fun_belongs_to_the_x_it_was_evaluated_at():
    result = invopt.minimize(rosenbrock, "finite-difference", "bfgs", x0=[-1.2, 1.0], maxiter=10)
    for x, fun in zip(result.history.x, result.history.fun, strict=True):
        assert fun == pytest.approx(rosenbrock(x), rel=1e-6, abs=1e-8)
    assert result.fun == pytest.approx(rosenbrock(result.x), rel=1e-6, abs=1e-8)


def test_best_so_far_is_kept_when_a_method_diverges():
    method = optimizers.GradientDescent(lr=3.0)
    result = invopt.minimize(sphere, "finite-difference", method, x0=[1.0], maxiter=6)
    np.testing.assert_allclose(result.x_best, [1.0])
    np.testing.assert_allclose(result.x, result.x_best, atol=1e-5)
    assert result.fun_last > result.fun


def test_history():
    result = invopt.minimize(sphere, "shared-samples", x0=[3.0, 1.0], rng=0, maxiter=5)
    history = result.history
    assert history.x.shape == (6, 2)
    np.testing.assert_array_equal(history.nfev, estimators.SharedSamples().cost(2) * np.arange(1, 7))
    assert np.isnan(history.step[0])
    np.testing.assert_allclose(history.step[1:], np.linalg.norm(np.diff(history.x, axis=0), axis=1))
    assert (np.diff(history.seconds) > 0).all()
    assert (np.diff(history.sigma) < 0).all()
    columns = history.to_dict()
    assert set(columns) >= {"x", "fun", "step", "sigma", "nfev", "seconds", "standard_error"}
    assert all(len(column) == 6 for column in columns.values())
    assert len(history.plot().lines) == 1


def test_callback_sees_results_and_can_stop():
    seen = []

    def callback(*, intermediate_result):
        seen.append(intermediate_result)
        if intermediate_result.nit == 3:
            raise StopIteration

    result = invopt.minimize(sphere, x0=[3.0, 1.0], rng=0, callback=callback)
    assert [r.nit for r in seen] == [0, 1, 2, 3]
    assert all(isinstance(r, scipy.optimize.OptimizeResult) for r in seen)
    assert (result.status, result.success) == (Status.CALLBACK, False)


def test_ctrl_c_returns_what_there_is():
    calls = []

    def interrupted(x):
        calls.append(x)
        if len(calls) == 30:
            raise KeyboardInterrupt
        return sphere(x)

    result = invopt.minimize(interrupted, x0=[3.0, 1.0], rng=0)
    assert result.status is Status.INTERRUPTED
    # The answer of a cheap function is still measured.
    assert 29 < result.nfev == len(calls) - 1
    assert np.isfinite(result.x).all()


def test_equal_rngs_give_equal_bits_and_others_do_not():
    first, second, third = (invopt.minimize(sphere, x0=[3.0, 1.0], rng=r, maxiter=20) for r in (1, 1, 2))
    np.testing.assert_array_equal(first.history.x, second.history.x)
    assert not np.array_equal(first.history.x, third.history.x)


def test_nothing_passed_in_is_modified():
    x0, bounds, scale = np.array([3.0, 1.0]), np.array([[-5.0, 5.0], [-5.0, 5.0]]), np.array([1.0, 2.0])
    copies = x0.copy(), bounds.copy(), scale.copy()
    result = invopt.minimize(sphere, x0=x0, bounds=bounds, x_scale=scale, rng=0, maxiter=10)
    result.x[:] = 99
    for value, copy in zip((x0, bounds, scale), copies, strict=True):
        np.testing.assert_array_equal(value, copy)


def test_a_function_that_writes_to_its_argument_does_no_harm():
    def destructive(x):
        value = sphere(x)
        x[:] = np.nan
        return value

    a = invopt.minimize(destructive, x0=[3.0, 1.0], rng=0, maxiter=10)
    b = invopt.minimize(sphere, x0=[3.0, 1.0], rng=0, maxiter=10)
    np.testing.assert_array_equal(a.history.x, b.history.x)


def test_x_scale_is_a_change_of_units():
    """Scaling a parameter and its x_scale together changes nothing but its units."""
    factor = np.array([1.0, 1000.0])
    plain = invopt.minimize(sphere, x0=[3.0, 1.0], rng=0, maxiter=15)
    scaled = invopt.minimize(lambda x: sphere(x / factor), x0=[3.0, 1000.0], x_scale=factor, rng=0, maxiter=15)
    np.testing.assert_allclose(scaled.history.x, plain.history.x * factor, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(scaled.jac, plain.jac / factor, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(scaled.standard_error, plain.standard_error / factor, rtol=1e-9, atol=1e-12)


def test_x0_of_a_run_overrides_the_problem():
    result = invopt.minimize(problems.Quadratic(), "finite-difference", "newton", x0=[1.0, 1.0], maxiter=0 + 1)
    np.testing.assert_array_equal(result.history.x[0], [1.0, 1.0])


def test_names_callables_and_objects_are_the_same_thing():
    by_name = invopt.minimize("quad", "shared-samples", "newton-cg", rng=0, maxiter=5)
    by_object = invopt.minimize(
        problems.Quadratic(), estimators.SharedSamples(), optimizers.NewtonCG(), rng=0, maxiter=5
    )
    np.testing.assert_array_equal(by_name.history.x, by_object.history.x)
    assert isinstance(invopt.minimize("quad", rng=0, maxiter=2).method, optimizers.NewtonCG)
    assert isinstance(invopt.minimize("quad", "fr22", rng=0, maxiter=2).method, optimizers.Adam)
    assert isinstance(invopt.minimize("quad", None, "adaptive-bfgs", maxiter=2).estimator, estimators.FunctionValue)


def test_progress_goes_to_stderr_only(capsys):
    invopt.minimize(sphere, x0=[3.0, 1.0], rng=0, maxiter=3, progress=True)
    assert capsys.readouterr().out == ""


def test_an_error_in_a_callback_carries_the_result():
    def callback(*, intermediate_result):
        if intermediate_result.nit == 2:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine") as caught:
        invopt.minimize(sphere, x0=[3.0, 1.0], rng=0, callback=callback)
    assert caught.value.result.nit == 2
