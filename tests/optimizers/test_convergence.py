"""Known answers: quadratics, Rosenbrock, boxes; both x and status."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import lsq_linear
from scipy.optimize import minimize as scipy_minimize

from invopt import Status
from invopt.optimizers import (
    BFGS,
    LBFGS,
    Adam,
    AdaptiveBFGS,
    Armijo,
    DampedBFGS,
    FletcherReevesCG,
    GradientDescent,
    HessianFree,
    Newton,
    NewtonCG,
    Scipy,
)

TRUSTED = Newton(max_trust_radius=100.0)
SECOND_ORDER = [
    Newton(),
    TRUSTED,
    HessianFree(),
    NewtonCG(),
    FletcherReevesCG(),
    FletcherReevesCG(residual="recursive"),
    FletcherReevesCG(line_search_steps=3, nonpositive_curvature="boundary"),
    BFGS(),
    BFGS(line_search=Armijo()),
    LBFGS(),
    LBFGS(maxcor=2, line_search=Armijo()),
    DampedBFGS(),
]


@pytest.mark.parametrize("condition", [1.0, 1e3])
@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("method", SECOND_ORDER, ids=repr)
def test_quadratics(exact, method, n, condition):
    landscape = exact.quadratic(n, condition)
    res = exact.solve(landscape, method)
    assert res.status is Status.CONVERGED
    assert np.abs(res.x - landscape.x_opt).max() < 1e-6
    assert res.nit <= 200


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("condition", [1.0, 1e3])
def test_quadratics_from_values_alone(exact, n, condition):
    landscape = exact.quadratic(n, condition)
    res = exact.solve(landscape, AdaptiveBFGS())
    assert res.success
    assert res.status in {Status.FINISHED, Status.XTOL}
    assert np.abs(res.x - landscape.x_opt).max() < 1e-6


@pytest.mark.parametrize(
    ("method", "atol"), [(GradientDescent(lr=0.15), 1e-5), (Adam(lr=0.1), 1e-5)], ids=["gradient descent", "adam"]
)
def test_first_order_methods_on_mild_quadratics(exact, method, atol):
    landscape = exact.quadratic(2, 10.0)
    res = exact.solve(landscape, method, maxiter=3000)
    assert res.status is Status.CONVERGED
    assert np.abs(res.x - landscape.x_opt).max() < atol


@pytest.mark.parametrize("method", [*SECOND_ORDER, AdaptiveBFGS()], ids=repr)
def test_rosenbrock_agrees_with_scipy(exact, method):
    landscape = exact.rosenbrock()
    reference = scipy_minimize(landscape.fun, landscape.x0, jac=landscape.jac, method="BFGS", options={"gtol": 1e-9})
    res = exact.solve(landscape, method, maxiter=1000)
    assert res.success
    assert res.status in ({Status.FINISHED, Status.XTOL} if isinstance(method, AdaptiveBFGS) else {Status.CONVERGED})
    assert np.abs(res.x - reference.x).max() < 1e-5
    assert res.nit <= 60


@pytest.mark.parametrize(
    ("method", "nfev"),
    [(Newton(), 11), (NewtonCG(), 17), (BFGS(), 136), (BFGS(line_search=Armijo()), 133)],
    ids=["newton", "newton-cg", "bfgs", "bfgs-armijo"],
)
def test_cost_on_rosenbrock_is_pinned(exact, method, nfev):
    assert exact.solve(exact.rosenbrock(), method).history.nfev[-1] == nfev


def box_problem(exact, seed, n, condition):
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.standard_normal((n, n)))
    root = (Q * np.geomspace(1, condition, n) ** 0.5) @ Q.T
    x_opt = 2 * rng.normal(size=n)
    reference = lsq_linear(root, root @ x_opt, bounds=(-1, 1), tol=1e-14, method="bvls").x
    return exact.from_hessian(root @ root, x_opt), reference, rng.uniform(-1, 1, n)


@pytest.mark.parametrize(("n", "condition"), [(2, 10.0), (2, 1e3), (5, 1e2), (20, 1e2)])
@pytest.mark.parametrize(
    "method",
    [
        Newton(),
        TRUSTED,
        NewtonCG(),
        FletcherReevesCG(),
        BFGS(),
        BFGS(line_search=Armijo()),
        LBFGS(),
        DampedBFGS(),
    ],
    ids=repr,
)
def test_box_constrained_quadratics_reach_the_right_face(exact, method, n, condition):
    for seed in range(6):
        landscape, reference, x0 = box_problem(exact, seed, n, condition)
        res = exact.solve(landscape, method, x0=x0, bounds=[(-1, 1)] * n, x_scale=np.ones(n))
        assert res.status is Status.CONVERGED
        assert np.abs(res.x - reference).max() < 1e-6


@pytest.mark.parametrize("method", [AdaptiveBFGS(), Scipy("l-bfgs-b", options={"ftol": 0.0, "gtol": 1e-8})], ids=repr)
def test_box_constrained_quadratics_from_values_and_by_scipy(exact, method):
    for seed in range(4):
        landscape, reference, x0 = box_problem(exact, seed, 5, 1e2)
        res = exact.solve(landscape, method, x0=x0, bounds=[(-1, 1)] * 5)
        assert res.success
        assert np.abs(res.x - reference).max() < 1e-5


@pytest.mark.parametrize("method", [Newton(), NewtonCG(), BFGS(), LBFGS(), AdaptiveBFGS()], ids=repr)
def test_units_are_those_of_x_scale(exact, method):
    scale = np.array([1e-3, 1e3])
    landscape = exact.from_hessian(np.diag(1 / scale**2), scale * [3.0, -2.0])
    res = exact.solve(landscape, method, x0=[0.0, 0.0], x_scale=scale)
    assert res.success
    assert np.abs(res.x / scale - [3.0, -2.0]).max() < 1e-6


@pytest.mark.parametrize(
    "method", [Newton(), TRUSTED, NewtonCG(), FletcherReevesCG(nonpositive_curvature="boundary")], ids=repr
)
def test_negative_curvature_leads_away_from_a_saddle(exact, method):
    landscape = exact.Landscape(
        fun=lambda x: float(x[0] ** 2 - x[1] ** 2 + 0.25 * x[1] ** 4),
        jac=lambda x: np.array([2 * x[0], -2 * x[1] + x[1] ** 3]),
        hess=lambda x: np.diag([2.0, -2.0 + 3 * x[1] ** 2]),
    )
    res = exact.solve(landscape, method, x0=[0.3, 0.05])
    assert res.status is Status.CONVERGED
    assert np.abs(res.x - [0.0, np.sqrt(2)]).max() < 1e-6


@pytest.mark.parametrize("method", [BFGS(), BFGS(line_search=Armijo()), LBFGS(), DampedBFGS(), TRUSTED], ids=repr)
def test_a_search_that_fails_along_steepest_descent_ends_the_run_where_it_stands(exact, method):
    # The gradient points the wrong way, so that every step goes up.
    landscape = exact.quadratic(2, 10.0)
    wrong = exact.Landscape(fun=landscape.fun, jac=lambda x: -landscape.jac(x), hess=landscape.hess, x0=landscape.x0)
    res = exact.solve(wrong, method)
    assert res.status is Status.LINE_SEARCH
    assert not res.success
    assert res.x.tolist() == landscape.x0.tolist()


@pytest.mark.parametrize("method", [BFGS(), LBFGS(), DampedBFGS(), TRUSTED], ids=repr)
def test_infinite_values_are_backed_away_from(exact, method):
    landscape = exact.Landscape(
        fun=lambda x: float(x[0] - np.log(x[0])) if x[0] > 0 else np.inf,
        jac=lambda x: np.array([1 - 1 / x[0]]),
        hess=lambda x: np.array([[1 / x[0] ** 2]]),
    )
    res = exact.solve(landscape, method, x0=[8.0], x_scale=[20.0])
    assert res.status is Status.CONVERGED
    assert res.x[0] == pytest.approx(1.0, abs=1e-5)


def test_a_radius_that_follows_the_run_goes_far_and_comes_to_rest(exact):
    far = exact.quadratic(2, 10.0, centre=1e4)
    fixed, following = (
        exact.solve(far, m, x0=[0.0, 0.0], maxiter=40) for m in (Newton(), Newton(max_trust_radius=1e5))
    )
    assert np.linalg.norm(fixed.x) < 50
    assert following.status is Status.CONVERGED
    np.testing.assert_allclose(following.x, 1e4)
    # A fixed radius oscillates where every Newton step is twice too long.
    bent = exact.Landscape(
        fun=lambda x: float(np.abs(x[0]) ** 1.5),
        jac=lambda x: 1.5 * np.sign(x) * np.abs(x) ** 0.5,
        hess=lambda x: np.array([[0.75 * max(np.abs(x[0]), 1e-300) ** -0.5]]),
    )
    fixed, following = (exact.solve(bent, m, x0=[0.4], maxiter=60) for m in (Newton(), TRUSTED))
    assert abs(fixed.x[0]) == pytest.approx(0.4)
    assert following.success
    assert abs(following.x[0]) < 1e-6


def test_a_trial_that_is_taken_is_not_paid_twice(exact):
    res = exact.solve(exact.quadratic(2, 10.0, centre=0.0), TRUSTED, x0=[0.5, 0.5])
    # The start, and the trial that is the next point.
    assert (res.nit, res.history.nfev[-1]) == (1, 2)
