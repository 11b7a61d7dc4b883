"""scipy's methods in our loop: same answers, no thread left, names checked."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from scipy.optimize import minimize as scipy_minimize

from invopt import EvaluationError, IncompatibleError, Order, Status, UnknownNameError
from invopt.optimizers import Scipy

VALUES = ["nelder-mead", "powell", "cobyla", "cobyqa"]
GRADIENTS = ["cg", "bfgs", "l-bfgs-b", "tnc", "slsqp"]
PRODUCTS = ["newton-cg", "trust-ncg", "trust-krylov", "trust-constr"]
HESSIANS = ["dogleg", "trust-exact"]


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def scipys_own(landscape, name, **options):
    arguments = {"jac": landscape.jac} if name not in VALUES else {}
    if name in HESSIANS:
        arguments["hess"] = landscape.hess
    if name in PRODUCTS:
        arguments["hessp"] = lambda x, p: landscape.hess(x) @ p
    return scipy_minimize(landscape.fun, landscape.x0, method=name, **arguments, **options)


@pytest.mark.parametrize("name", VALUES + GRADIENTS + PRODUCTS + HESSIANS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_agrees_with_scipy_itself(exact, name):
    landscape = exact.quadratic(3, 10.0)
    theirs = scipys_own(landscape, name)
    ours = exact.solve(landscape, Scipy(name), exact.Exact(landscape=landscape), gtol=0.0, maxiter=5000)
    assert theirs.success
    assert ours.success
    # Even with gtol = 0 a gradient of exactly 0 is convergence.
    assert ours.status in {Status.FINISHED, Status.CONVERGED}
    assert ours.x_last == pytest.approx(theirs.x, abs=1e-10)


@pytest.mark.parametrize("name", ["bfgs", "l-bfgs-b", "trust-exact", "newton-cg", "slsqp"])
def test_rosenbrock(exact, name):
    landscape = exact.rosenbrock()
    ours = exact.solve(landscape, Scipy(name), gtol=0.0)
    assert ours.status is Status.FINISHED
    assert ours.x_last == pytest.approx(scipys_own(landscape, name).x, abs=1e-9)


def test_each_point_is_one_estimate(exact):
    landscape = exact.rosenbrock()
    theirs = scipys_own(landscape, "bfgs")
    ours = exact.solve(landscape, Scipy("bfgs"), gtol=0.0)
    assert ours.history.nfev[-1] == theirs.nfev
    assert ours.nit == theirs.nfev - 1


def test_what_each_method_requires():
    assert all(Scipy(name).requires == Order.FUN for name in VALUES)
    assert all(Scipy(name).requires == Order.JAC for name in GRADIENTS)
    assert all(Scipy(name).requires == Order.JAC | Order.HESSP for name in PRODUCTS)
    assert all(Scipy(name).requires == Order.JAC | Order.HESS for name in HESSIANS)


def test_values_alone_serve_the_methods_that_need_no_more(exact):
    landscape = exact.quadratic(2, 10.0)
    res = exact.solve(landscape, Scipy("nelder-mead"))
    assert res.status is Status.FINISHED
    assert res.x == pytest.approx(landscape.x_opt, abs=1e-3)
    with pytest.raises(IncompatibleError, match="Scipy needs"):
        exact.solve(landscape, Scipy("bfgs"), exact.Values())


@pytest.mark.parametrize("name", ["nelder-mead", "powell", "cobyla", "cobyqa", "l-bfgs-b", "tnc", "slsqp"])
def test_bounds_reach_scipy(exact, name):
    landscape = exact.quadratic(2, 5.0, centre=2.0)
    bounds = [(-1, 1), (None, 1)]
    res = exact.solve(landscape, Scipy(name), x0=[0.0, 0.0], bounds=bounds, maxiter=2000)
    reference = scipy_minimize(landscape.fun, [0.0, 0.0], jac=landscape.jac, method="l-bfgs-b", bounds=bounds)
    assert res.success
    assert res.x == pytest.approx(reference.x, abs=1e-3)


@pytest.mark.parametrize("limit", [{"maxfev": 7}, {"maxiter": 5}])
def test_a_budget_ends_scipy_and_its_thread(exact, limit):
    landscape = exact.rosenbrock()
    res = exact.solve(landscape, Scipy("bfgs"), **limit)
    assert res.status in {Status.MAXFEV, Status.MAXITER}
    assert res.history.nfev[-1] <= 7


def test_scipys_own_limit_is_not_success(exact):
    res = exact.solve(exact.rosenbrock(), Scipy("bfgs", options={"maxiter": 3}))
    assert res.status is Status.LIMIT
    assert not res.success


def test_a_failing_objective_ends_scipy_and_its_thread(exact):
    landscape = exact.rosenbrock()

    def fun(x):
        if x[0] > 0:
            raise OSError("gone")
        return landscape.fun(x)

    broken = exact.Landscape(fun=fun, jac=landscape.jac, hess=landscape.hess, x0=landscape.x0)
    with pytest.raises(EvaluationError, match="gone"):
        exact.solve(broken, Scipy("bfgs"))


def test_noise_ends_a_line_search_with_its_own_status(exact):
    landscape = exact.quadratic(2, 10.0)
    wrong = exact.Landscape(fun=landscape.fun, jac=lambda x: -landscape.jac(x), hess=landscape.hess, x0=landscape.x0)
    res = exact.solve(wrong, Scipy("bfgs"))
    assert res.status is Status.LINE_SEARCH
    assert res.x.tolist() == landscape.x0.tolist()


@pytest.mark.parametrize("name", PRODUCTS + HESSIANS)
@pytest.mark.parametrize("curvature", [-1.0, 0.0])
def test_curvature_that_is_not_positive_is_survived(exact, name, curvature):
    landscape = exact.Landscape(
        fun=lambda x: float(np.cos(x).sum()), jac=lambda x: -np.sin(x), hess=lambda x: curvature * np.eye(2)
    )
    res = exact.solve(landscape, Scipy(name), x0=[0.3, 0.2], maxiter=100)
    assert np.isfinite(res.x).all()


def test_close_unwinds_a_run_that_is_left_in_the_middle(exact):
    landscape = exact.rosenbrock()
    method = Scipy("bfgs")
    x = torch.tensor(landscape.x0)
    state = method.init(x)
    method.close(state)
    before = threading.active_count()
    estimate = exact.estimate_of(landscape.jac(x.numpy()), x=x, fun=landscape.fun(x.numpy()))
    method.step(x, estimate, state, exact.oracle_of(landscape, 2))
    assert threading.active_count() == before + 1
    method.close(state)
    assert threading.active_count() == before


def test_unknown_names_are_refused():
    with pytest.raises(UnknownNameError, match="'l-bfgs-b'"):
        Scipy("lbfgsb")
    with pytest.raises(TypeError, match="'name' must be a string: 3"):
        Scipy(3)


@pytest.mark.parametrize("name", VALUES + GRADIENTS + PRODUCTS + HESSIANS)
def test_unknown_options_are_refused_at_construction(name):
    with pytest.raises(UnknownNameError, match="max_steps"):
        Scipy(name, options={"max_steps": 3})
    assert Scipy(name, options={"disp": False}).options == {"disp": False}


def test_options_that_scipy_refuses_name_themselves(exact):
    landscape = exact.quadratic(2, 10.0)
    with pytest.raises(ValueError, match="'nelder-mead' refused 'options'"):
        exact.solve(landscape, Scipy("nelder-mead", options={"initial_simplex": np.zeros((7, 3))}))
    with pytest.raises(TypeError, match="'options' must map names to values"):
        Scipy("bfgs", options=[("gtol", 1)])


def test_numbers_that_scipy_cannot_use_are_not_taken_for_bad_options(exact):
    landscape = exact.quadratic(2, 10.0)
    holed = exact.Landscape(
        fun=landscape.fun, jac=landscape.jac, hess=lambda x: np.full((2, 2), np.nan), x0=landscape.x0
    )
    assert exact.solve(holed, Scipy("trust-exact")).status is Status.LINE_SEARCH
    with pytest.raises(ValueError, match="scipy's 'nelder-mead' refused 'options'"):
        exact.solve(landscape, Scipy("nelder-mead", options={"initial_simplex": [[1.0]]}))
