"""invopt as a method of scipy.optimize, and derivatives without a run."""

import numpy as np
import pytest
import scipy.optimize
from scipy.optimize import rosen, rosen_der, rosen_hess

import invopt
from invopt import IncompatibleError, UnknownNameError, as_method, estimators, optimizers

START = [-1.2, 1.0]


def test_as_method_solves_rosenbrock():
    method = as_method(estimators.FiniteDifference(), optimizers.BFGS())
    result = scipy.optimize.minimize(scipy.optimize.rosen, [-1.2, 1.0], method=method, tol=1e-7)
    assert result.success
    np.testing.assert_allclose(result.x, 1.0, atol=1e-5)


def test_as_method_passes_args_bounds_options_and_both_kinds_of_callback():
    points, results = [], []
    method = as_method("shared-samples", "newton-cg", rng=0)
    arguments = dict(args=(2.0,), bounds=[(0, 1.5)] * 2, method=method, options={"maxiter": 25})

    def fun(x, a):
        return float(((x - a) ** 2).sum())

    first = scipy.optimize.minimize(fun, [0.5, 0.5], callback=lambda xk: points.append(xk), **arguments)
    scipy.optimize.minimize(
        fun, [0.5, 0.5], callback=lambda intermediate_result: results.append(intermediate_result), **arguments
    )
    np.testing.assert_allclose(first.x, 1.5, atol=0.05)
    assert len(points) == len(results) > 1
    np.testing.assert_array_equal(points, [r.x for r in results])


def test_as_method_takes_constraints():
    found = scipy.optimize.minimize(
        scipy.optimize.rosen, [0.5, 0.0], method=as_method(), constraints=[{"type": "eq", "fun": np.sum}]
    )
    assert found.success
    assert found.x.sum() == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(invopt.IncompatibleError, match="BFGS does not support 'constraints'"):
        scipy.optimize.minimize(
            scipy.optimize.rosen,
            [0.0, 0.0],
            method=as_method("finite-difference", "bfgs"),
            constraints={"type": "eq", "fun": np.sum},
        )


def test_differentiate_reports_derivatives_with_errors_in_the_users_units():
    hess = np.array([[10.0, 7.5], [7.5, 10.0]])
    problem = invopt.problems.Quadratic()
    p = np.array([1.0, -2.0])
    estimator = estimators.SharedSamples(sigma=0.3, n_samples=20_000)
    found = invopt.differentiate(problem, estimator, [1.0, -0.5], p=p, x_scale=[1.0, 5.0], rng=0)
    for value, error, exact in (
        (found.jac, found.standard_error, hess @ [1.0, -0.5]),
        (found.hess, found.hess_standard_error, hess),
        (found.hessp, found.hessp_standard_error, hess @ p),
    ):
        assert (np.abs(value - exact) < 5 * error).all()
        assert (error < 0.2 * np.abs(exact).max()).all()
    assert found.nfev == 40_000


def test_differentiate_refuses_products_where_there_are_none():
    with pytest.raises(TypeError, match="no Hessian-vector products"):
        invopt.differentiate("quad", "fr22", p=[1.0, 0.0])


def bowl(x, a):
    return float(((x - a) ** 2).sum())


def slope(x, a):
    return 2 * (x - a)


def test_as_method_uses_derivatives():
    method = as_method()
    for jac, fun in ((rosen_der, rosen), (True, lambda x: (rosen(x), rosen_der(x)))):
        res = scipy.optimize.minimize(fun, START, jac=jac, hess=rosen_hess, method=method)
        assert res.choice.startswith("ExactDerivative with Newton")
        np.testing.assert_allclose(res.x, 1.0, atol=1e-6)
    res = scipy.optimize.minimize(bowl, [0.0, 0.0], args=(2.0,), jac=slope, method=method)
    assert res.choice.startswith("ExactDerivative with BFGS")
    np.testing.assert_allclose(res.x, 2.0, atol=1e-6)


def test_as_method_keeps_what_it_was_made_with():
    method = as_method("finite-difference", "bfgs", maxfev=30)
    res = scipy.optimize.minimize(rosen, START, jac=rosen_der, method=method)
    assert type(res.estimator).__name__ == "FiniteDifference"
    assert res.nfev <= 30


def test_as_method_refuses_what_minimize_does():
    with pytest.raises(IncompatibleError, match="'hessp'"):
        scipy.optimize.minimize(rosen, START, jac=rosen_der, hessp=lambda x, p: p, method=as_method())
    with pytest.raises(UnknownNameError, match="'options' has 'maxcor'"):
        scipy.optimize.minimize(rosen, START, method=as_method(), options={"maxcor": 3})


def test_as_method_passes_options_on():
    method = as_method("finite-difference", "bfgs")
    res = scipy.optimize.minimize(rosen, START, method=method, tol=1e-2, options={"maxfun": 40, "rng": 0})
    assert res.nfev <= 40
