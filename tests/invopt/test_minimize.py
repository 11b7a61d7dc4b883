"""The loop: budgets, stopping rules, bounds."""

import time

import numpy as np
import pytest
import scipy.optimize

import invopt
from invopt import Status, estimators, optimizers, problems
from invopt.core.registry import find

from .counted import ESTIMATORS, Counter, rosenbrock, sphere


@pytest.mark.parametrize("maxfev", [1, 2, 7, 30, 101])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_maxfev_is_never_exceeded(estimator, maxfev):
    counter = Counter()
    result = invopt.minimize(counter, estimator, x0=[3.0, -2.0], rng=0, maxfev=maxfev, gtol=0, xtol=0)
    assert len(counter.points) == result.nfev <= maxfev
    assert result.status is Status.MAXFEV
    # The rest of the budget is too small for another estimate or product.
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

    result = invopt.minimize(slow, x0=[3.0, 1.0], rng=0, maxtime=0.3, gtol=0, xtol=0)
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


@pytest.mark.parametrize("method", ["bfgs", "lbfgs", "newton"])
def test_rosenbrock_agrees_with_scipy(method):
    ours = invopt.minimize(rosenbrock, "finite-difference", method, x0=[-1.2, 1.0])
    theirs = scipy.optimize.minimize(rosenbrock, [-1.2, 1.0], method="BFGS", jac=scipy.optimize.rosen_der)
    assert ours.success, ours.message
    np.testing.assert_allclose(ours.x, theirs.x, atol=1e-5)


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
