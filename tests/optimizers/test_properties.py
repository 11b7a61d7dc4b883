"""Invariance of methods to shifts and scalings; checks of their settings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invopt import Exponential
from invopt.core.registry import find
from invopt.optimizers import (
    BFGS,
    LBFGS,
    Adam,
    AdaptiveBFGS,
    Armijo,
    ArmijoWolfe,
    DampedBFGS,
    FletcherReevesCG,
    GradientDescent,
    HessianFree,
    Newton,
    NewtonCG,
    Scipy,
)

SCALE_FREE = [
    Adam(lr=0.1, eps=0.0),
    Newton(),
    Newton(max_trust_radius=100.0),
    HessianFree(),
    NewtonCG(),
    FletcherReevesCG(nonpositive_curvature="boundary"),
    BFGS(),
    BFGS(line_search=Armijo()),
    LBFGS(),
    DampedBFGS(),
]


def bowl(exact, shift, factor):
    """A smooth function with a third derivative, positive definite near its minimum."""

    def fun(x):
        y = x - shift
        return factor * float(np.cosh(y[0]) + 2 * np.cosh(y[1] - 0.3 * y[0]))

    def jac(x):
        y = x - shift
        s = 2 * np.sinh(y[1] - 0.3 * y[0])
        return factor * np.array([np.sinh(y[0]) - 0.3 * s, s])

    def hess(x):
        y = x - shift
        c = 2 * np.cosh(y[1] - 0.3 * y[0])
        return factor * np.array([[np.cosh(y[0]) + 0.09 * c, -0.3 * c], [-0.3 * c, c]])

    return exact.Landscape(fun=fun, jac=jac, hess=hess, x0=shift + np.array([1.5, -1.0]))


def path(exact, method, shift, factor):
    res = exact.solve(bowl(exact, shift, factor), method, maxiter=5, gtol=0.0, xtol=0.0)
    return res.history.x


@settings(max_examples=15, deadline=None)
@given(shift=st.tuples(*[st.floats(-4, 4)] * 2))
@pytest.mark.parametrize("method", [*SCALE_FREE, GradientDescent(lr=0.05)], ids=repr)
def test_shifting_f_and_x0_shifts_the_iterates(exact, method, shift):
    shift = np.array(shift)
    moved = path(exact, method, shift, 1.0)
    still = path(exact, method, np.zeros(2), 1.0)
    assert moved - shift == pytest.approx(still, abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(factor=st.floats(1e-6, 1e6))
@pytest.mark.parametrize("method", SCALE_FREE, ids=repr)
def test_scaling_f_leaves_the_iterates(exact, method, factor):
    assert path(exact, method, np.zeros(2), factor) == pytest.approx(path(exact, method, np.zeros(2), 1.0), abs=1e-9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GradientDescent(lr=0.0), "'lr' must be > 0: 0.0"),
        (lambda: GradientDescent(lr=0.1, max_step=-1.0), "'max_step' must be > 0: -1.0"),
        (lambda: Adam(lr=-1.0), "'lr' must be > 0: -1.0"),
        (lambda: Adam(betas=(0.9, 1.0)), r"'betas' must be two numbers in \[0, 1\)"),
        (lambda: Adam(betas=0.9), r"'betas' must be two numbers in \[0, 1\): 0.9"),
        (lambda: Adam(eps=-1.0), "'eps' must be >= 0"),
        (lambda: Newton(trust_radius=0.0), "'trust_radius' must be > 0"),
        (lambda: Newton(max_trust_radius=0.5), "'max_trust_radius' must be >= trust_radius = 1: 0.5"),
        (lambda: NewtonCG(trust_radius=float("inf")), "'trust_radius' must be finite"),
        (lambda: NewtonCG(forcing=1.0), "'forcing' must be < 1"),
        (lambda: NewtonCG(maxinner=0), "'maxinner' must be >= 1"),
        (lambda: FletcherReevesCG(restart=0), "'restart' must be >= 1"),
        (lambda: FletcherReevesCG(line_search_steps=11), "'line_search_steps' must be <= 10"),
        (lambda: FletcherReevesCG(residual="other"), "'residual' must be one of"),
        (lambda: FletcherReevesCG(nonpositive_curvature="other"), "'nonpositive_curvature' must be one of"),
        (lambda: LBFGS(maxcor=0), "'maxcor' must be >= 1"),
        (lambda: BFGS(initial_step=float("nan")), "'initial_step' must be finite"),
        (lambda: DampedBFGS(damping=1.0), "'damping' must be < 1"),
        (lambda: AdaptiveBFGS(max_step=0.0), "'max_step' must be > 0"),
        (lambda: ArmijoWolfe(c1=0.3, c2=0.2), "'c2' must be > c1"),
        (lambda: Armijo(c1=0.7), "'c1' must be < 0.5"),
    ],
)
def test_bad_settings_name_field_rule_and_value(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "make", [lambda: Adam(lr="fast"), lambda: LBFGS(maxcor=2.5), lambda: BFGS(line_search="wolfe")]
)
def test_settings_of_the_wrong_kind(make):
    with pytest.raises(TypeError):
        make()


def test_schedules_of_the_learning_rate(exact):
    landscape = exact.quadratic(1, 1.0)
    res = exact.solve(landscape, Adam(lr=Exponential(0.1, factor=0.5)), maxiter=3)
    assert res.history.step[1] == pytest.approx(0.1, rel=1e-6)
    assert res.history.step[3] == pytest.approx(0.025, rel=0.05)
    res = exact.solve(landscape, GradientDescent(lr=Exponential(factor=0.5)), maxiter=2)
    assert res.history.step[1] == pytest.approx(0.1)


def test_names():
    assert find("optimizers", "cg") is FletcherReevesCG
    assert find("optimizers", "gd") is GradientDescent
    assert find("optimizers", "adaptive_bfgs") is AdaptiveBFGS
    assert find("optimizers", "scipy") is Scipy
