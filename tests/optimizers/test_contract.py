"""Contract of optimizers: pure steps, unchanged inputs, a gradient required."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
import torch

from invopt.optimizers import (
    BFGS,
    LBFGS,
    Adam,
    Armijo,
    DampedBFGS,
    FletcherReevesCG,
    GradientDescent,
    HessianFree,
    Newton,
    NewtonCG,
)

METHODS = [
    GradientDescent(lr=0.1, max_step=1.0),
    Adam(),
    Newton(),
    Newton(max_trust_radius=3.0),
    HessianFree(),
    NewtonCG(),
    FletcherReevesCG(),
    FletcherReevesCG(nonpositive_curvature="boundary", residual="recursive", line_search_steps=3),
    BFGS(),
    BFGS(line_search=Armijo()),
    LBFGS(maxcor=2),
    DampedBFGS(),
]
HESSIANS = {
    "definite": np.diag([1.0, 4.0, 9.0]),
    "indefinite": np.diag([1.0, -4.0, 9.0]),
    "negative": -np.eye(3),
    "zero": np.zeros((3, 3)),
    "huge": 1e200 * np.eye(3),
    "tiny": 1e-200 * np.eye(3),
}

methods = pytest.mark.parametrize("method", METHODS, ids=repr)


def walk(exact, method, landscape, estimates, bounds=None):
    """Points and states over several estimates, each step taken twice from the same state."""
    x = estimates[0].x
    state, points = method.init(x), []
    for estimate in estimates:
        new, following = method.step(x, estimate, state, exact.oracle_of(landscape, 3, bounds))
        again, _ = method.step(x, estimate, state, exact.oracle_of(landscape, 3, bounds))
        assert torch.equal(new, again)
        points.append(new)
        x, state = new, following
    return points


@methods
def test_steps_are_pure_and_leave_their_inputs_alone(exact, method):
    landscape = exact.from_hessian(HESSIANS["definite"], [1.0, -1.0, 0.5])
    x = torch.zeros(3, dtype=torch.float64)
    state = method.init(x)
    for _ in range(4):
        H = torch.from_numpy(landscape.hess(None))
        jac = torch.from_numpy(landscape.jac(x.numpy()))
        estimate = exact.estimate_of(jac.clone(), H.clone(), x=x.clone())
        before = x.clone()
        new, following = method.step(x, estimate, state, exact.oracle_of(landscape, 3))
        again, _ = method.step(x, estimate, state, exact.oracle_of(landscape, 3))
        assert torch.equal(new, again)
        assert torch.equal(x, before)
        assert torch.equal(estimate.jac, jac)
        assert torch.equal(estimate.hess, H)
        x, state = new, following


@methods
@pytest.mark.parametrize("sigma", [0.0, 0.5])
def test_no_gradient_no_step(exact, method, sigma):
    landscape = exact.from_hessian(np.zeros((3, 3)), np.zeros(3))
    estimate = exact.estimate_of([0.0, 0.0, 0.0], HESSIANS["indefinite"], x=[1.0, 2.0, 3.0], sigma=sigma)
    for point in walk(exact, method, landscape, [estimate] * 3):
        assert torch.equal(point, estimate.x)


@methods
@pytest.mark.parametrize("hess", HESSIANS.values(), ids=HESSIANS.keys())
@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
@pytest.mark.parametrize("bounds", [None, (-0.25, 0.25)])
def test_steps_are_finite_whatever_the_curvature(exact, method, hess, scale, bounds):
    landscape = exact.from_hessian(hess, [0.1, -1.0, 0.5])
    rng = np.random.default_rng(0)
    estimates = [exact.estimate_of(scale * rng.standard_normal(3), hess, error=np.full(3, np.inf)) for _ in range(4)]
    for point in walk(exact, method, landscape, estimates, bounds):
        assert torch.isfinite(point).all()
        if bounds is not None:
            assert point.abs().max() <= bounds[1]


@methods
def test_every_parameter_pressed_against_its_bound_stays_there(exact, method):
    landscape = exact.from_hessian(np.eye(3), [5.0, 5.0, 5.0])
    x = torch.full((3,), 0.25, dtype=torch.float64)
    estimate = exact.estimate_of(landscape.jac(x.numpy()), np.eye(3), x=x)
    for point in walk(exact, method, landscape, [estimate] * 2, (-0.25, 0.25)):
        assert torch.equal(point, x)


@pytest.mark.parametrize("method", [m for m in METHODS if hasattr(m, "trust_radius")], ids=repr)
@pytest.mark.parametrize("hess", HESSIANS.values(), ids=HESSIANS.keys())
@pytest.mark.parametrize("sigma", [0.0, 0.3])
def test_trust_radius_is_never_exceeded(exact, method, hess, sigma):
    landscape = exact.from_hessian(hess, np.zeros(3))
    rng = np.random.default_rng(1)
    x = torch.zeros(3, dtype=torch.float64)
    state = method.init(x)
    for _ in range(20):
        estimate = exact.estimate_of(rng.standard_normal(3) * 10.0 ** rng.uniform(-3, 3), hess, x=x, sigma=sigma)
        new, state = method.step(x, estimate, state, exact.oracle_of(landscape, 3, sigma=sigma))
        longest = getattr(method, "max_trust_radius", None)
        radius = sigma or longest or 1.0
        assert float(torch.linalg.vector_norm(new - x)) <= radius * (1 + 1e-12)
        x = new


def test_max_step_of_gradient_descent(exact):
    estimate = exact.estimate_of([300.0, 400.0], sigma=0.5)
    landscape = exact.from_hessian(np.eye(2), np.zeros(2))
    x, _ = GradientDescent(lr=1.0, max_step=2.0).step(estimate.x, estimate, (0, None), exact.oracle_of(landscape, 2))
    assert x.tolist() == pytest.approx([-0.6, -0.8])


def test_many_parameters_need_no_matrix(exact):
    n = 4096
    scale = torch.linspace(1.0, 100.0, n, dtype=torch.float64)
    x = torch.zeros(n, dtype=torch.float64)
    measured = type(exact.estimate_of([1.0]).measure_hessp(torch.ones(1, dtype=torch.float64)))
    estimate = exact.estimate_of(-scale, np.zeros((n, n)))
    estimate = attrs.evolve(estimate, hessian=None, product=lambda p: measured(scale * p, torch.zeros(n)))
    landscape = exact.from_hessian(np.eye(1), [0.0])
    new, _ = NewtonCG(trust_radius=1000.0, maxinner=200, forcing=1e-8).step(
        x, estimate, 0.0, exact.oracle_of(landscape, n)
    )
    assert torch.allclose(new, torch.ones(n, dtype=torch.float64), atol=1e-6)
