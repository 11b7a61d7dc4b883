"""The loop: budgets, stopping, results, callbacks."""

import time

import numpy as np
import pytest
import scipy.optimize

import invopt
from invopt import Status, estimators, optimizers, problems
from invopt.core.registry import find


def sphere(x):
    return float(x @ x)


def rosenbrock(x):
    return float(scipy.optimize.rosen(x))


class Counter:
    """A callable that remembers where it was called."""

    def __init__(self, fun=sphere):
        self.fun = fun
        self.points = []

    def __call__(self, x):
        self.points.append(x)
        return self.fun(x)


ESTIMATORS = [
    estimators.FR22(),
    estimators.SPSA(),
    estimators.SmoothedGradient(),
    estimators.AggregateGradient(antithetic=False),
    estimators.SmoothedHessian(),
    estimators.AggregateHessian(),
    estimators.SmoothedHVP(),
    estimators.AggregateHVP(),
    estimators.SharedSamples(),
    estimators.FiniteDifference(),
]


@pytest.mark.parametrize("maxfev", [1, 2, 7, 30, 101])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_maxfev_is_never_exceeded(estimator, maxfev):
    counter = Counter()
    result = invopt.minimize(counter, estimator, x0=[3.0, -2.0], rng=0, maxfev=maxfev, gtol=0, xtol=0)
    assert len(counter.points) == result.nfev <= maxfev
    assert result.status is Status.MAXFEV
    # What is left over would not have paid for another estimate or product, but what is kept for the answer.
    kept = maxfev // 8
    assert maxfev - result.nfev < kept + max(estimator.cost(2), estimator.hess_cost(2), estimator.hessp_cost(2))


@pytest.mark.parametrize("method", ["bfgs", "lbfgs", "damped-bfgs", "adaptive-bfgs"])
def test_maxfev_holds_inside_line_searches(method):
    for maxfev in range(1, 40, 3):
        counter = Counter(rosenbrock)
        result = invopt.minimize(counter, "finite-difference", method, x0=[-1.2, 1.0], rng=0, maxfev=maxfev)
        assert len(counter.points) == result.nfev <= maxfev


def test_maxiter_counts_steps():
    result = invopt.minimize(sphere, "shared-samples", "newton-cg", x0=[3.0, 1.0], rng=0, maxiter=3, gtol=0, xtol=0)
    assert (result.nit, result.status, result.success) == (3, Status.MAXITER, False)
    assert len(result.history) == 4


def test_maxtime_begins_no_evaluation_after_the_deadline():
    began = time.perf_counter()
    late = []

    def slow(x):
        late.append(time.perf_counter() - began)
        time.sleep(0.02)
        return sphere(x)

    result = invopt.minimize(slow, x0=[3.0, 1.0], rng=0, maxtime=0.3)
    assert result.status is Status.MAXTIME
    # The clock of the run starts a little after ours.
    assert max(late) < 0.3 + 0.2
    assert result.seconds < 0.3 + 0.2
    assert result.nfev == len(late)


def test_no_budget_at_all_still_ends():
    result = invopt.minimize(lambda x: 1.0 + 0 * x[0], "finite-difference", "adam", x0=[1.0], gtol=0, xtol=0)
    assert result.nit == 200


def test_converges_by_gtol_and_says_so():
    result = invopt.minimize(sphere, "finite-difference", "bfgs", x0=[3.0, 1.0])
    assert result.success
    assert result.status is Status.CONVERGED
    assert result.message == Status.CONVERGED.value
    np.testing.assert_allclose(result.x, 0, atol=1e-5)
    assert np.abs(result.jac).max() <= 1e-6


def test_a_noisy_gradient_does_not_converge_by_luck():
    rng = np.random.default_rng(0)
    result = invopt.minimize(
        lambda x: float(rng.standard_normal()), estimators.SPSA(sigma=1.0, n_samples=4), x0=[0.0], rng=0, maxiter=200
    )
    assert result.status is Status.MAXITER


def test_ftol():
    options = {"x0": [3.0], "gtol": 0, "xtol": 0}
    method = optimizers.GradientDescent(lr=0.4)
    result = invopt.minimize(lambda x: 1 + sphere(x), "finite-difference", method, ftol=1e-6, **options)
    assert result.status is Status.FTOL
    assert result.nit < 20
    # One step away it is lower: that is no minimum, whatever the last change was.
    slow = invopt.minimize(sphere, "finite-difference", "gradient-descent", ftol=1e-1, **options)
    assert slow.status is Status.UNSURE
    assert slow.fun < slow.fun_last


def test_a_plateau_is_reported_not_taken_for_a_minimum():
    result = invopt.minimize(lambda x: 4.0, "shared-samples", x0=[1.0, 2.0], rng=0)
    assert result.status is Status.PLATEAU
    assert not result.success
    np.testing.assert_array_equal(result.x, [1.0, 2.0])


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


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_bounds_hold_for_every_evaluation(estimator):
    counter = Counter(lambda x: float((x - 2) @ (x - 2)))
    result = invopt.minimize(
        counter, estimator, x0=[0.5, 0.5], bounds=[(0, 1), (None, 1.5)], x_scale=[1.0, 3.0], rng=0, maxfev=600
    )
    points = np.array(counter.points)
    assert (points[:, 0] >= 0).all()
    assert (points <= [1, 1.5]).all()
    np.testing.assert_allclose(result.x, [1.0, 1.5], atol=0.05)


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


@pytest.mark.parametrize("method", ["bfgs", "lbfgs", "newton"])
def test_rosenbrock_agrees_with_scipy(method):
    ours = invopt.minimize(rosenbrock, "finite-difference", method, x0=[-1.2, 1.0])
    theirs = scipy.optimize.minimize(rosenbrock, [-1.2, 1.0], method="BFGS", jac=scipy.optimize.rosen_der)
    assert ours.success, ours.message
    np.testing.assert_allclose(ours.x, theirs.x, atol=1e-5)


def test_names_callables_and_objects_are_the_same_thing():
    by_name = invopt.minimize("quad", "shared-samples", "newton-cg", rng=0, maxiter=5)
    by_object = invopt.minimize(
        problems.Quadratic(), estimators.SharedSamples(), optimizers.NewtonCG(), rng=0, maxiter=5
    )
    np.testing.assert_array_equal(by_name.history.x, by_object.history.x)
    assert isinstance(invopt.minimize("quad", rng=0, maxiter=2).method, optimizers.Newton)
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


def test_rounding_by_x_scale_never_leaves_the_bounds():
    rng = np.random.default_rng(0)
    for _ in range(50):
        low, scale = rng.uniform(0.1, 1, 2)
        counter = Counter(lambda x: float(x[0]))
        result = invopt.minimize(counter, x0=[1.5], bounds=[(low, 2.0)], x_scale=[scale], rng=0, maxfev=60)
        assert min(point[0] for point in counter.points) >= low
        assert result.x[0] >= low


def noisy_plateau(x, seed):
    """Common random numbers: equal in both halves of a pair, different between pairs."""
    return min(abs(x[0]), 1.0) + 0.1 * np.random.default_rng(seed).standard_normal()


@pytest.mark.parametrize("name", ["shared-samples", "fr22", "aggregate-hvp", "smoothed-hessian", "spsa"])
def test_a_noisy_plateau_is_no_minimum(name):
    problem = problems.Function(fun=noisy_plateau, x0=[5.0], seeded=True)
    result = invopt.minimize(problem, getattr(estimators, find("estimators", name).__name__)(sigma=0.5), rng=0)
    assert result.status is Status.PLATEAU
    assert not result.success


def test_an_offset_does_not_end_a_run_early():
    estimator = estimators.FR22(sigma=invopt.Exponential(factor=0.99))
    result = invopt.minimize(lambda x: 1e6 + (x[0] - 1) ** 2, estimator, "adam", x0=[5.0], rng=0, maxfev=4000)
    assert result.status is not Status.PLATEAU
    assert result.x[0] == pytest.approx(1.0, abs=0.1)


def test_a_sampled_run_converges_only_once_it_has_descended_and_the_width_is_final():
    estimator = estimators.AggregateGradient(sigma=invopt.Linear(1.0, ratio=0.1, steps=50))
    result = invopt.minimize("quad", estimator, "adam", rng=0, maxiter=5000, gtol=1e-4)
    assert result.status is Status.CONVERGED
    assert result.nit > 50
    assert (np.abs(result.jac) + 2 * result.standard_error).max() <= 1e-4


def test_a_rule_that_ignores_noise_is_no_success():
    method = optimizers.Scipy("l-bfgs-b")
    result = invopt.minimize(rosenbrock, estimators.FR22(sigma=0.1), method, x0=[-1.2, 0.8], rng=0, maxfev=5000)
    assert result.status in {Status.UNSURE, Status.LINE_SEARCH, Status.LIMIT, Status.MAXFEV}
    assert not result.success


def test_more_samples_than_the_budget_pays_are_never_drawn():
    result = invopt.minimize(sphere, estimators.SharedSamples(n_samples=10**12), x0=[1.0], maxfev=10)
    # The start alone is measured, twice.
    assert (result.status, result.nfev, result.fun) == (Status.MAXFEV, 2, sphere(result.x))
    assert result.message.endswith("`maxfev` is 10, and the first estimate takes 2000000000000")
    np.testing.assert_array_equal(result.x, [1.0])
