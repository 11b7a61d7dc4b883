"""The paper's conjugate gradients: equations 4 to 7, and the authors' options."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from invopt import Status
from invopt.optimizers import FletcherReevesCG


def linear_cg(H, g, n):
    """Textbook iterates of linear CG from 0."""
    x, r, v = np.zeros(n), -g, -g
    points = []
    for _ in range(n):
        alpha = r @ r / (v @ H @ v)
        x, new = x + alpha * v, r - alpha * (H @ v)
        v, r = new + (new @ new) / (r @ r) * v, new
        points.append(x)
    return points


@pytest.mark.parametrize("residual", ["recompute", "recursive"])
@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_equals_linear_cg_on_a_quadratic(exact, n, residual):
    landscape = exact.quadratic(n, 30.0)
    method = FletcherReevesCG(restart=100, trust_radius=1e6, residual=residual)
    H = landscape.hess(None)
    x, state = torch.zeros(n, dtype=torch.float64), None
    oracle = exact.oracle_of(landscape, n)
    for expected in linear_cg(H, landscape.jac(np.zeros(n)), n):
        x, state = method.step(x, exact.estimate_of(landscape.jac(x.numpy()), H, x=x), state, oracle)
        assert x.numpy() == pytest.approx(expected, abs=1e-9)
    assert x.numpy() == pytest.approx(landscape.x_opt, abs=1e-9)


def test_ends_in_n_steps(exact):
    res = exact.solve(exact.quadratic(5, 30.0), FletcherReevesCG(restart=100, trust_radius=1e6))
    assert res.status is Status.CONVERGED
    assert res.nit == 5


def test_restart_gives_steepest_descent(exact):
    landscape = exact.quadratic(3, 100.0)
    method = FletcherReevesCG(restart=2, trust_radius=1e6)
    x, state = torch.zeros(3, dtype=torch.float64), None
    for k in range(6):
        jac = landscape.jac(x.numpy())
        new, state = method.step(
            x, exact.estimate_of(jac, landscape.hess(None), x=x), state, exact.oracle_of(landscape, 3)
        )
        s = (new - x).numpy()
        along = abs(s @ jac) / np.linalg.norm(s) / np.linalg.norm(jac)
        assert (along > 1 - 1e-12) == (k % 2 == 0)
        x = new


# "unit": alpha = -g'v / 1 = |g|^2 along v = -g, a step of |g|^3 = 0.125; "boundary": all of the trust radius.
@pytest.mark.parametrize(("option", "length"), [("unit", 0.125), ("boundary", 1.0)])
@pytest.mark.parametrize("curvature", [-1.0, 0.0])
def test_nonpositive_curvature(exact, option, length, curvature):
    H = curvature * np.eye(2)
    method = FletcherReevesCG(nonpositive_curvature=option)
    estimate = exact.estimate_of([0.3, 0.4], H)
    x, _ = method.step(estimate.x, estimate, None, exact.oracle_of(exact.from_hessian(H, np.zeros(2)), 2))
    assert x.numpy() == pytest.approx(-length * np.array([0.6, 0.8]))


def test_line_search_steps_spend_fresh_estimates_and_find_the_line_minimum(exact):
    landscape = exact.Landscape(
        fun=lambda x: float(np.cosh(x[0])), jac=lambda x: np.sinh(x), hess=lambda x: np.diag(np.cosh(x)), x0=np.ones(1)
    )
    once = exact.solve(landscape, FletcherReevesCG(), maxiter=1)
    thrice = exact.solve(landscape, FletcherReevesCG(line_search_steps=3), maxiter=1)
    assert once.history.nfev[-1] == 2
    assert thrice.history.nfev[-1] == 4
    assert abs(thrice.x_last[0]) < 1e-5 < abs(once.x_last[0])
