"""Constraints other than bounds: known minima, violations that are said, and what is refused."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, NonlinearConstraint

from invopt import (
    EvaluationError,
    IncompatibleError,
    Returned,
    Session,
    Status,
    WrongValueError,
    minimize,
    optimizers,
    problems,
)

from .hock_schittkowski import PROBLEMS

RING = NonlinearConstraint(lambda x: x @ x, 1.0, 4.0)


@pytest.mark.parametrize("name", PROBLEMS)
def test_known_minima_are_found_and_feasible(name):
    fun, x0, bounds, constraints, minimum = PROBLEMS[name]
    found = minimize(fun, x0, bounds=bounds, constraints=constraints, rng=0, maxfev=400)
    assert found.success
    assert abs(found.fun - minimum) < 1e-3 * max(abs(minimum), 1)
    assert found.fun == fun(found.x)
    assert found.maxcv < 1e-5


@pytest.mark.parametrize("name", list(PROBLEMS)[1::2])
def test_noise_leaves_the_answer_feasible(name):
    fun, x0, bounds, constraints, minimum = PROBLEMS[name]
    noise = np.random.default_rng(0)
    scale = max(abs(minimum), 1)
    found = minimize(
        lambda x: fun(x) + 1e-4 * scale * noise.standard_normal(),
        x0,
        bounds=bounds,
        constraints=constraints,
        rng=0,
        maxfev=400,
    )
    assert found.maxcv < 1e-5
    assert abs(fun(found.x) - minimum) < 1e-3 * scale


@pytest.mark.parametrize("method", ["cobyla", "cobyqa", optimizers.Scipy("slsqp", differences=True)])
def test_methods_that_support_constraints_do(method):
    found = minimize(
        lambda x: (x[0] - 3) ** 2 + x[1] ** 2, [1.0, 1.0], constraints=RING, method=method, maxfev=300, rng=0
    )
    np.testing.assert_allclose(found.x, [2.0, 0.0], atol=1e-3)
    assert found.constr == pytest.approx([4.0], abs=1e-3)


def test_many_parameters_get_a_method_without_quadratic_models():
    line = LinearConstraint(np.ones((1, 60)), 6.0, np.inf)
    found = minimize(lambda x: float(x @ x), np.ones(60), constraints=line, rng=0, maxfev=1000)
    assert "name='slsqp'" in repr(found.method)
    np.testing.assert_allclose(found.x, 0.1, atol=1e-3)


def test_constraints_see_bounds_scales_and_fixed_parameters():
    seen = []

    def plane(x):
        seen.append(x.copy())
        return x[0] + x[1] + x[2]

    options = {"bounds": Bounds([0.0, -np.inf, 5.0], [np.inf, np.inf, 5.0]), "x_scale": [1.0, 100.0, 1.0], "rng": 0}
    both = [NonlinearConstraint(plane, 25.0, np.inf), LinearConstraint([[0.0, 1.0, 1.0]], -np.inf, 20.0)]
    found = minimize(lambda x: float(x[0] ** 2 + x[1] ** 2), [0.0, 0.0, 5.0], constraints=both, maxfev=200, **options)
    # 10 each, and the second constraint allows 15.
    np.testing.assert_allclose(found.x, [10.0, 10.0, 5.0], atol=1e-3)
    assert min(x[0] for x in seen) >= 0
    assert {x[2] for x in seen} == {5.0}
    np.testing.assert_allclose(found.constr, [25.0, 15.0], atol=1e-3)


def test_constraints_that_fun_returns_cost_nothing_more():
    calls = []

    def fun(x):
        calls.append(x)
        return x[0] + x[1], [x[0] * x[1], x[0] - x[1]]

    found = minimize(fun, [3.0, 2.0], constraints=Returned([1.0, 0.0], np.inf), bounds=[(0, 4)] * 2, rng=0, maxfev=200)
    assert found.success
    assert len(calls) == found.nfev
    np.testing.assert_allclose(found.x, [1.0, 1.0], atol=1e-3)
    assert found.constr.shape == (2,)


def test_noise_of_returned_constraints_is_allowed_for():
    noise = np.random.default_rng(1)
    fun = lambda x: (x[0] + x[1], x[0] * x[1] + 1e-3 * noise.standard_normal())  # noqa: E731 - one line
    found = minimize(
        fun, [3.0, 2.0], constraints=Returned(1.0, np.inf, tol=5e-3), bounds=[(0, 4)] * 2, rng=0, maxfev=200
    )
    assert found.maxcv <= 5e-3
    assert abs(found.x.sum() - 2) < 0.02


def test_a_start_that_is_not_feasible_is_no_answer():
    found = minimize(lambda x: float(x @ x), [0.0, 0.0], constraints=RING, rng=0, maxfev=200)
    assert found.maxcv < 1e-5
    assert found.fun == pytest.approx(1.0, abs=1e-5)
    assert math.isinf(found.history.fun[0])


@pytest.mark.parametrize("maxfev", [5, 200])
def test_an_empty_region_is_said(maxfev):
    none = [LinearConstraint([[1.0, 0.0]], 1.0, np.inf), NonlinearConstraint(lambda x: x[0], -np.inf, 0.0)]
    found = minimize(lambda x: float(x @ x), [4.0, 4.0], constraints=none, rng=0, maxfev=maxfev)
    assert not found.success
    assert found.status is (Status.INFEASIBLE if maxfev == 200 else Status.MAXFEV)
    assert "at which all constraints hold" in found.message
    assert found.maxcv == pytest.approx(max(1 - found.x[0], found.x[0]), abs=1e-9)
    assert found.fun == pytest.approx(found.x @ found.x)


def test_constraints_are_part_of_a_kept_run(tmp_path):
    def run(radius):
        ring = NonlinearConstraint(lambda x: x @ x, radius, 4.0)
        file = tmp_path / "runs.sqlite"
        return minimize(lambda x: float(x @ x), [1.5, 0.5], constraints=ring, rng=0, maxfev=60, journal=file)

    first, again, other = run(1.0), run(1.0), run(1.1)
    assert again.n_replayed == first.nfev
    assert (again.x == first.x).all()
    assert again.maxcv == first.maxcv
    assert other.n_replayed == 0


def test_workers_evaluate_constraints_too():
    fun = PROBLEMS["43"].fun
    with ThreadPoolExecutor(2) as pool:
        runs = [
            minimize(fun, [0.0] * 4, constraints=PROBLEMS["43"].constraints, rng=0, maxfev=60, workers=workers)
            for workers in (1, pool)
        ]
    assert (runs[0].x == runs[1].x).all()
    assert (runs[0].constr == runs[1].constr).all()


def test_priors_and_constraints_go_together():
    found = minimize(
        lambda x: float(0.5 * x @ x),
        [2.0, 2.0],
        prior=([2.0, 2.0], 1.0),
        constraints=LinearConstraint([[1, 1]], 3),
        rng=0,
    )
    np.testing.assert_allclose(found.x, [1.5, 1.5], atol=1e-4)
    assert found.fun_prior == pytest.approx(0.25, abs=1e-3)


@pytest.mark.parametrize(
    ("constraints", "error", "text"),
    [
        (NonlinearConstraint(np.sum, 0, 1, keep_feasible=True), IncompatibleError, "'keep_feasible' of a constraint"),
        (NonlinearConstraint(lambda x: np.eye(2), 0, 1), WrongValueError, "a number or a vector of numbers"),
        (NonlinearConstraint(lambda x: x, [0, 0, 0], 1), ValueError, "of one number or 2 numbers in 'lb'"),
        (LinearConstraint([[np.nan, 1]], 0, 1), ValueError, "finite in LinearConstraint"),
        ([RING, Returned(0, 1)], ValueError, "one Returned, beside linear ones only"),
    ],
)
def test_constraints_of_the_wrong_form_are_refused(constraints, error, text):
    with pytest.raises(error, match=text):
        minimize(lambda x: 0.0, [1.0, 1.0], constraints=constraints, maxfev=9)


def test_what_cannot_have_constraints_says_so():
    problem = problems.Function(fun=lambda x: x, x0=[1.0, 1.0], residuals=True)
    with pytest.raises(IncompatibleError, match="LeastSurprise does not support 'constraints'"):
        minimize(problem, method="least-surprise", constraints=RING)
    with pytest.raises(IncompatibleError, match="'constraints' are not supported in a Session"):
        Session(x0=[0.0, 0.0], constraints=RING)
    with pytest.raises(IncompatibleError, match="are for functions, not Quadratic"):
        minimize("quad", constraints=Returned(0, 1))
    with pytest.raises(EvaluationError, match=r"'fun' must return \(f, c\)"):
        minimize(lambda x: 0.0, [1.0], constraints=Returned(0, 1), maxfev=9)
    with pytest.raises(EvaluationError, match="'constraints' must have 1 values"):
        minimize(lambda x: (0.0, [1.0, 2.0]), [1.0], constraints=Returned(0, 1), maxfev=9)
    with pytest.raises(ValueError, match="'lb' must be <= 'ub'"):
        Returned(2.0, 1.0)
