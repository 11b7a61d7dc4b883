"""Errors of finite differences are within the bounds of truncation and rounding."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import invopt
from invopt import estimators
from invopt.estimators import FiniteDifference

from .closed_forms import Quadratic, make
from .z_tests import estimate, evaluator

EPS = np.finfo(float).eps


def derivatives(f, x, order):
    """Bound of all partial derivatives of order 3 and above."""
    return 0.0 if isinstance(f, Quadratic) else float(np.abs(f.a) @ np.abs(f.w).max(1) ** order)


def value_error(f, x, reach):
    """Bound of the rounding error of a value near `x`, from the ulps of all terms."""
    if isinstance(f, Quadratic):
        size = np.abs(x) + reach
        return 8 * EPS * (abs(f.c) + np.abs(f.b) @ size + 0.5 * size @ np.abs(f.A) @ size)
    arguments = np.abs(f.w) @ (np.abs(x) + reach) + np.abs(f.phi)
    return 8 * EPS * (abs(f.c) + np.abs(f.a) @ (1 + arguments))


def steps(estimator, x):
    if estimator.abs_step is not None:
        return np.full(len(x), estimator.abs_step), np.full(len(x), 2 * estimator.abs_step)
    size = np.maximum(1, np.abs(x))
    rel = EPS ** (1 / 3) if estimator.rel_step is None else estimator.rel_step
    return rel * size, rel**0.75 * size


def tolerances(estimator, f, x):
    """Tolerances of jac and hess."""
    h, H = steps(estimator, x)
    noise = value_error(f, x, H)
    # The points themselves are rounded: by an ulp of x, times a slope.
    slope = np.abs(f.smoothed(x, 1e-9).jac) + derivatives(f, x, 2) * H + 1
    noise = noise + EPS * (np.abs(x) + H) @ slope
    jac = h**2 / 6 * derivatives(f, x, 3) + noise / h
    diagonal = (H**2 + h**2) / 12 * derivatives(f, x, 4) + 4 * noise / (H**2 - h**2)
    # Truncation of a mixed difference in both directions, and its sixth-order remainder.
    squares = H[:, None] ** 2 + H[None] ** 2
    cross = squares / 6 * derivatives(f, x, 4) + squares**2 / 50 * derivatives(f, x, 6) + noise / np.outer(H, H)
    return jac, np.where(np.eye(len(x), dtype=bool), diagonal + (H**2) ** 2 / 50 * derivatives(f, x, 6), cross)


@pytest.mark.parametrize("options", [{}, {"rel_step": 1e-3}, {"abs_step": 0.01}], ids=str)
@pytest.mark.parametrize("name", ["quadratic", "waves"])
@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("distance", [0.0, 30.0])
def test_derivatives_within_truncation_and_rounding(options, name, n, distance):
    f, x, p = make(name, n)
    x = x + distance
    estimator = FiniteDifference(**options)
    record = estimate(estimator, evaluator(f, n), x, np.random.default_rng(0))
    # Smoothed with a negligible sigma: the derivatives themselves.
    exact = f.smoothed(x, 1e-12)
    jac, hess = tolerances(estimator, f, x)
    assert (np.abs(record.jac.numpy() - exact.jac) <= jac).all()
    assert (np.abs(record.hess.numpy() - exact.hess) <= hess).all()
    np.testing.assert_array_equal(record.hess, record.hess.T)
    np.testing.assert_allclose(record.hessp(torch.from_numpy(p)), record.hess.numpy() @ p, rtol=1e-14)
    assert record.standard_error.tolist() == [0.0] * n
    assert (record.hess_standard_error == 0).all()
    assert record.sigma == 0
    assert record.fun_standard_error == 0
    if distance == 0 and options != {"abs_step": 0.01}:
        # These tolerances would see an answer 2 % off.
        largest = np.abs(exact.hess).max()
        assert jac.max() < 0.02 * np.abs(exact.jac).max()
        assert hess.max() < 0.02 * largest


def test_a_step_has_a_difference_quotient():
    record = estimate(
        FiniteDifference(abs_step=0.5),
        evaluator(lambda X: 2.0 * (X[:, 0] > 0.2), 2),
        np.zeros(2),
        np.random.default_rng(0),
    )
    assert record.jac.tolist() == [2.0, 0.0]
    assert record.hess.tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_both_steps_are_refused():
    with pytest.raises(ValueError, match="'rel_step' or 'abs_step'"):
        FiniteDifference(rel_step=0.1, abs_step=0.1)


@pytest.mark.parametrize("x", [[1.0, 0.0], [1.0 - 1e-7, 1e-9], [0.5, 0.5], [1.0, 1.0]])
def test_derivatives_at_a_bound_are_those_of_the_function(x):
    """Dividing projected points by the full step would give half the slope."""
    found = invopt.differentiate(
        lambda y: (y[0] - 3) ** 2 + y[0] * y[1] + 2 * y[1] ** 2, "finite-difference", x, bounds=[(0, 1), (0, 1)]
    )
    np.testing.assert_allclose(found.jac, [2 * (x[0] - 3) + x[1], x[0] + 4 * x[1]], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.hess, [[2, 1], [1, 4]], rtol=1e-5, atol=1e-5)


def test_newton_settles_inside_a_box_from_its_corner():
    result = invopt.minimize(lambda x: (x[0] - 0.3) ** 2, "finite-difference", "newton", x0=[1.0], bounds=[(0, 1)])
    assert result.success
    assert result.x[0] == pytest.approx(0.3, abs=1e-6)


@pytest.mark.parametrize("step", [{"abs_step": 1e-17}, {"rel_step": 1e-300}])
def test_a_step_below_rounding_is_refused(step):
    with pytest.raises(ValueError, match="_step' must be large enough to change x"):
        invopt.minimize(lambda x: (x[0] - 3) ** 2, estimators.FiniteDifference(**step), "bfgs", x0=[1.0])
