"""Property tests of estimators, on functions and numbers chosen by hypothesis."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from invopt.core.estimator import Order
from invopt.estimators import FiniteDifference, FunctionValue
from invopt.problems import Function

from .closed_forms import make
from .test_unbiased import ESTIMATORS
from .z_tests import estimate, evaluator, quantities

ALL = {**ESTIMATORS, "finite-difference": FiniteDifference(abs_step=0.1)}
CURVED = [key for key, estimator in ALL.items() if Order.HESS in estimator.provides]
WITH_PRODUCTS = [key for key, estimator in ALL.items() if Order.HESSP in estimator.provides]

run = settings(max_examples=20, deadline=None, derandomize=True)

seeds = st.integers(0, 2**32 - 1)
dimensions = st.sampled_from([1, 2, 5])
scales = st.floats(-1e3, 1e3).filter(lambda s: abs(s) > 1e-3)
shifts = st.floats(-10, 10)
names = st.sampled_from(["quadratic", "waves", "step"])
pairs = st.booleans()


def take(key, f, x, p, seed, antithetic=True):
    """Values of all quantities from one rng seed."""
    estimator = ALL[key]
    if key != "finite-difference":
        estimator = attrs.evolve(estimator, n_samples=3, antithetic=antithetic)
    made = estimate(estimator, evaluator(f, len(x)), x, np.random.default_rng(seed))
    return {name: mean.value for name, mean in quantities(estimator, made, p).items()}


@pytest.mark.parametrize("key", ALL)
@run
@given(scale=scales, name=names, n=dimensions, seed=seeds, antithetic=pairs)
def test_scaling_f_scales_everything(key, scale, name, n, seed, antithetic):
    f, x, p = make(name, n)
    plain = take(key, f, x, p, seed, antithetic)
    scaled = take(key, lambda X: scale * f(X), x, p, seed, antithetic)
    for quantity, value in plain.items():
        size = abs(scale) * (1 + np.abs(value).max())
        np.testing.assert_allclose(scaled[quantity], scale * value, atol=1e-9 * size, rtol=0)


@pytest.mark.parametrize("key", ALL)
@run
@given(shift=shifts, n=dimensions, seed=seeds, antithetic=pairs)
def test_shifting_x_shifts_nothing_else(key, shift, n, seed, antithetic):
    f, x, p = make("waves", n)
    plain = take(key, f, x, p, seed, antithetic)
    moved = take(key, lambda X: f(X - shift), x + shift, p, seed, antithetic)
    for quantity, value in plain.items():
        np.testing.assert_allclose(moved[quantity], value, atol=1e-9 * (1 + np.abs(value).max()), rtol=0)


@pytest.mark.parametrize("key", ["shared", "shared-gaussian", "shared-aggregate"])
@run
@given(offset=st.floats(-1e4, 1e4), n=dimensions, seed=seeds, antithetic=pairs)
def test_a_constant_is_no_noise_to_shared_samples(key, offset, n, seed, antithetic):
    f, x, p = make("waves", n)
    plain = take(key, f, x, p, seed, antithetic)
    lifted = take(key, lambda X: f(X) + offset, x, p, seed, antithetic)
    np.testing.assert_allclose(lifted.pop("fun"), plain.pop("fun") + offset, atol=1e-6)
    for quantity, value in plain.items():
        np.testing.assert_allclose(lifted[quantity], value, atol=1e-6 * (1 + np.abs(value).max()), rtol=0)


@pytest.mark.parametrize("key", ["fr22", "spsa", *[k for k in ESTIMATORS if k.startswith(("gradient", "hvp"))]])
@run
@given(offset=st.floats(-1e4, 1e4), n=dimensions, seed=seeds)
def test_a_constant_is_no_noise_to_the_gradient_of_a_pair(key, offset, n, seed):
    f, x, p = make("waves", n)
    plain, lifted = take(key, f, x, p, seed), take(key, lambda X: f(X) + offset, x, p, seed)
    for quantity in plain.keys() - {"fun"}:
        value = plain[quantity]
        np.testing.assert_allclose(lifted[quantity], value, atol=1e-6 * (1 + np.abs(value).max()), rtol=0)


@pytest.mark.parametrize("key", CURVED)
@run
@given(name=names, n=dimensions, seed=seeds, antithetic=pairs)
def test_hessian_is_symmetric_to_the_bit(key, name, n, seed, antithetic):
    f, x, _ = make(name, n)
    estimator = ALL[key] if key == "finite-difference" else attrs.evolve(ALL[key], n_samples=4, antithetic=antithetic)
    made = estimate(estimator, evaluator(f, n), x, np.random.default_rng(seed))
    np.testing.assert_array_equal(made.hess, made.hess.T)
    np.testing.assert_array_equal(made.hess_standard_error, made.hess_standard_error.T)


@pytest.mark.parametrize("key", CURVED)
@run
@given(n=dimensions, seed=seeds, a=scales, b=scales, antithetic=pairs)
def test_products_are_linear_and_those_of_the_hessian(key, n, seed, a, b, antithetic):
    f, x, _ = make("waves", n)
    estimator = ALL[key] if key == "finite-difference" else attrs.evolve(ALL[key], n_samples=4, antithetic=antithetic)
    made = estimate(estimator, evaluator(f, n), x, np.random.default_rng(seed))
    p, q = torch.from_numpy(np.random.default_rng(seed).standard_normal((2, n)))
    tolerance = 1e-9 * (abs(a) + abs(b)) * (1 + float(made.hess.abs().max()))
    combined = made.hessp(a * p + b * q)
    np.testing.assert_allclose(combined, a * made.hessp(p) + b * made.hessp(q), atol=tolerance, rtol=0)
    np.testing.assert_allclose(combined, made.hess @ (a * p + b * q), atol=tolerance, rtol=0)
    assert abs(float(q @ made.hessp(p) - p @ made.hessp(q))) < tolerance * 10


@pytest.mark.parametrize("key", WITH_PRODUCTS)
@run
@given(n=dimensions, seed=seeds, a=st.floats(1e-3, 1e3))
def test_products_are_homogeneous(key, n, seed, a):
    # Not for a negative factor, which swaps the ends of a difference: equal in distribution only.
    f, x, p = make("waves", n)
    one, scaled = take(key, f, x, p, seed)["hessp"], take(key, f, x, a * p, seed)["hessp"]
    np.testing.assert_allclose(scaled, a * one, atol=1e-8 * a * (1 + np.abs(one).max()), rtol=0)
    zero = take(key, f, x, 0 * p, seed)["hessp"]
    np.testing.assert_array_equal(zero, np.zeros(n))


@pytest.mark.parametrize("key", [*ALL, "value"])
@run
@given(name=names, n=dimensions, seed=seeds)
def test_same_rng_same_bits_and_nothing_modified(key, name, n, seed):
    f, x, p = make(name, n)
    estimator = FunctionValue() if key == "value" else ALL[key]
    made = []
    for _ in range(2):
        point, direction = torch.from_numpy(x.copy()), torch.from_numpy(p.copy())
        state = estimator.init(Function(fun=f, x0=np.zeros(n)))
        rng = np.random.default_rng(seed)
        record, _ = estimator.estimate(evaluator(f, n), point, state, rng)
        values = [record.fun, record.fun_standard_error]
        if record.jac is not None:
            values += [*record.jac, *record.standard_error]
        if Order.HESS in estimator.provides:
            values += [*record.hess.flatten(), *record.hess_standard_error.flatten()]
        if Order.HESSP in estimator.provides:
            values += [*record.hessp(direction)]
        # The same state of the generator too: what is drawn next does not depend on what was read.
        made.append([*map(float, values), rng.bit_generator.state["state"]["state"]])
        np.testing.assert_array_equal(point, x)
        np.testing.assert_array_equal(direction, p)
        np.testing.assert_array_equal(record.x, x)
    assert made[0] == made[1]


def test_different_rng_different_answer():
    f, x, p = make("waves", 5)
    for key in ESTIMATORS:
        assert take(key, f, x, p, 0)["jac"].tolist() != take(key, f, x, p, 1)["jac"].tolist()
