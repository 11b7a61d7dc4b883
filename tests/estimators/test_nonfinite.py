"""Non-finite values are dropped and the rest re-weighted, up to a stated share."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

from invopt.estimators import FiniteDifference, FunctionValue, SharedSamples, SmoothedGradient
from invopt.exceptions import NonFiniteError

from .closed_forms import SIGMA, make
from .test_unbiased import ESTIMATORS, expectation
from .z_tests import estimate, evaluator, pooled, quantities, rejected, seed_of


def failing(f, share, rng, value=np.nan):
    """`f` with a share of its values non-finite, independent of the point."""

    def broken(X):
        values = f(X)
        values[rng.random(len(X)) < share] = value
        return values

    return broken


@pytest.mark.parametrize("antithetic", [True, False], ids=["pairs", "single"])
@pytest.mark.parametrize("key", ESTIMATORS)
def test_mean_is_kept_when_a_tenth_is_lost(key, antithetic):
    f, x, p, mean = expectation(key, "waves", 2)
    rng = np.random.default_rng(seed_of("nan", key, antithetic))
    estimator = attrs.evolve(ESTIMATORS[key], antithetic=antithetic, n_samples=10_000)
    objective = evaluator(failing(f, 0.1, rng), 2)
    found = pooled([quantities(estimator, estimate(estimator, objective, x, rng), p) for _ in range(4)])
    assert rejected(found, mean) == {}
    assert 0.09 * objective.nfev < objective.n_nonfinite < 0.11 * objective.nfev


def test_counting_what_is_lost_as_zero_would_be_rejected():
    f, x, p, mean = expectation("gradient-aggregate", "waves", 2)
    rng = np.random.default_rng(2)
    estimator = attrs.evolve(ESTIMATORS["gradient-aggregate"], n_samples=40_000)
    objective = evaluator(failing(f, 0.1, rng, value=0.0), 2)
    assert "jac" in rejected(quantities(estimator, estimate(estimator, objective, x, rng), p), mean)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("key", ESTIMATORS)
def test_every_number_reported_is_finite(key, value):
    f, x, p = make("waves", 2)
    rng = np.random.default_rng(3)
    estimator = attrs.evolve(ESTIMATORS[key], n_samples=40)
    made = estimate(estimator, evaluator(failing(f, 0.15, rng, value), 2), x, rng)
    for mean in quantities(estimator, made, p).values():
        assert np.isfinite(mean.value).all()
        assert np.isfinite(mean.error).all()
    assert 0 < made.spread < 10


def test_standard_errors_grow_with_what_is_lost():
    f, x, _ = make("waves", 2)
    estimator = attrs.evolve(ESTIMATORS["gradient-aggregate"], n_samples=20_000, antithetic=False)
    rng = np.random.default_rng(4)
    errors = [
        estimate(estimator, evaluator(failing(f, share, rng), 2), x, rng).standard_error.numpy() for share in (0.0, 0.4)
    ]
    # 60 % of the samples are left; an error from 12,000 samples is itself known to 1-2 %.
    np.testing.assert_allclose(errors[1] / errors[0], 0.6**-0.5, rtol=0.08)


@pytest.mark.parametrize("key", ESTIMATORS)
def test_too_many_lost_is_an_error_that_says_how_many(key):
    f, x, _ = make("waves", 2)
    rng = np.random.default_rng(5)
    estimator = attrs.evolve(ESTIMATORS[key], n_samples=100)
    with pytest.raises(NonFiniteError, match=r"of \d+ values .* 'max_nonfinite' = 0.5; bound"):
        estimate(estimator, evaluator(failing(f, 0.8, rng), 2), x, rng)


@pytest.mark.parametrize("key", ESTIMATORS)
def test_all_lost_is_an_error_whatever_the_limit(key):
    x = np.zeros(2)
    with pytest.raises(NonFiniteError, match="not finite"):
        estimate(
            ESTIMATORS[key],
            evaluator(lambda X: np.full(len(X), np.nan), 2, max_nonfinite=1.0),
            x,
            np.random.default_rng(0),
        )


def lost_rows(*rows):
    """Function whose given rows are non-finite."""

    def f(X):
        values = X.sum(1)
        values[list(rows)] = np.nan
        return values

    return f


def test_a_component_without_any_sample_is_an_error():
    estimator = SmoothedGradient(sigma=SIGMA, n_samples=1)
    # Rows are x - tau of either component, then x + tau.
    with pytest.raises(NonFiniteError, match="no sample of some component"):
        estimate(estimator, evaluator(lost_rows(2), 2), np.zeros(2), np.random.default_rng(0))


def test_a_single_sample_left_has_no_standard_error():
    estimator = SmoothedGradient(sigma=SIGMA, n_samples=2, proposal="aggregate")
    made = estimate(estimator, evaluator(lost_rows(2), 2), np.zeros(2), np.random.default_rng(0))
    assert np.isfinite(made.jac.numpy()).all()
    assert np.isinf(made.standard_error.numpy()).all()


def test_spread_is_that_of_the_values_left():
    kept = []

    def f(X):
        values = X.sum(1)
        values[[1, 4]] = np.nan
        kept.extend(np.delete(values, [1, 4]))
        return values

    made = estimate(SharedSamples(n_samples=4), evaluator(f, 2), np.zeros(2), np.random.default_rng(0))
    assert made.spread == pytest.approx(np.std(kept), rel=1e-12)


def test_shared_samples_need_two_to_compare():
    with pytest.raises(NonFiniteError, match="1 of 2 samples were finite, at least 2"):
        estimate(SharedSamples(n_samples=2), evaluator(lost_rows(0), 2), np.zeros(2), np.random.default_rng(0))


def test_finite_difference_can_spare_none():
    with pytest.raises(NonFiniteError, match="needs all its values"):
        estimate(FiniteDifference(), evaluator(lost_rows(0), 2), np.zeros(2), np.random.default_rng(0))


def test_finite_difference_can_spare_none_for_its_hessian():
    calls = []

    def f(X):
        calls.append(len(X))
        values = X.sum(1)
        if len(calls) > 1:
            values[0] = np.nan
        return values

    made = estimate(FiniteDifference(), evaluator(f, 2), np.zeros(2), np.random.default_rng(0))
    with pytest.raises(NonFiniteError, match="needs all its values"):
        _ = made.hess


def test_value_that_is_not_finite_is_an_error():
    with pytest.raises(NonFiniteError, match="not finite"):
        estimate(FunctionValue(), evaluator(lambda X: X.sum(1) * np.nan, 2), np.zeros(2), np.random.default_rng(0))
