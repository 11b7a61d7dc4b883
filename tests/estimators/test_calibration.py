"""Calibration of the reported standard errors, and of the z-test itself."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
import torch
from scipy import stats

from .closed_forms import SIGMA, expected, make
from .test_unbiased import ESTIMATORS
from .z_tests import (
    ALPHA,
    THRESHOLD,
    Mean,
    estimate,
    evaluator,
    over_repetitions,
    quantities,
    rejected,
    seed_of,
    z_scores,
)

REPETITIONS = 400
N_SAMPLES = 800
# Self-normalised means of 800 skewed contributions are not quite normal: their z may have a variance this far from 1.
FINITE_SAMPLES = 0.1
# Components compared here, at most, and the probability with which right standard errors of one are rejected.
COMPONENTS = 500
ALPHA_EACH = 1e-6 / COMPONENTS
# Interval of the mean square of as many normal z, by chi-squared.
LOW, HIGH = stats.chi2.ppf([ALPHA_EACH / 2, 1 - ALPHA_EACH / 2], REPETITIONS) / REPETITIONS
LOW, HIGH = LOW - FINITE_SAMPLES, HIGH + FINITE_SAMPLES
# Standard errors of these multiples of their size must be rejected.
PLANTED = (1 / 1.5, 1.5)

both = pytest.mark.parametrize("antithetic", [True, False], ids=["pairs", "single"])


def test_z_test_rejects_as_often_as_its_level_says():
    rng = np.random.default_rng(0)
    trials, samples = 20_000, 400
    draws = rng.exponential(size=(trials, samples))
    found = Mean(draws.mean(1), draws.std(1, ddof=1) / np.sqrt(samples))
    share = float((np.abs(z_scores(found, np.ones(trials))) > stats.norm.isf(0.025)).mean())
    # Binomial error of the share, plus half a point for the skewness of an exponential at 400 samples.
    assert abs(share - 0.05) < 0.005 + stats.norm.isf(ALPHA / 2) * np.sqrt(0.05 * 0.95 / trials)


def test_z_test_rejects_a_nan():
    nothing = {"jac": Mean(np.array([np.nan]), np.array([1.0]))}
    assert rejected(nothing, {"jac": np.array([0.0])}).keys() == {"jac"}


def test_z_test_rejects_five_per_cent_with_the_samples_it_needs():
    draws = np.random.default_rng(1).normal(1.0, 1.0, 100_000)
    found = {"jac": Mean(draws.mean(keepdims=True), np.array([draws.std() / np.sqrt(draws.size)]))}
    assert rejected(found, {"jac": np.array([1.0])}) == {}
    assert rejected(found, {"jac": np.array([1.05])}).keys() == {"jac"}


def assert_calibrated(z):
    """Assert that z, shape (repetitions, components), have variance 1, and not with planted errors."""
    variances = np.square(z).mean(0)
    assert LOW < variances.min() <= variances.max() < HIGH
    for factor in PLANTED:
        wrong = variances / factor**2
        assert wrong.min() < LOW or wrong.max() > HIGH, f"errors of {factor:.3g} times their size pass"


@both
@pytest.mark.parametrize("key", ESTIMATORS)
def test_reported_standard_errors_are_calibrated(key, antithetic):
    f, x, p = make("waves", 2)
    estimator = attrs.evolve(ESTIMATORS[key], n_samples=N_SAMPLES, antithetic=antithetic)
    mean = expected(estimator, f, x, p)
    objective = evaluator(f, 2)
    rng = np.random.default_rng(seed_of("scores", key, antithetic))
    z = {name: [] for name in mean}
    for _ in range(REPETITIONS):
        found = quantities(estimator, estimate(estimator, objective, x, rng), p)
        for name, value in mean.items():
            z[name].append(z_scores(found[name], value))
    for values in z.values():
        assert_calibrated(values)


@pytest.mark.parametrize("key", ["hessian-optimal", "hessian-aggregate", "hessian-uniform", "shared"])
@pytest.mark.parametrize("p", [(1.0, 1.0), (1.0, -1.0)], ids=str)
def test_standard_error_of_a_product_knows_that_elements_share_samples(key, p):
    # Along the ridge of (x0 + x1)^2 the elements of a row are correlated by +-0.4 where they share samples.
    objective = evaluator(lambda X: X.sum(1) ** 2, 2)
    estimator = attrs.evolve(ESTIMATORS[key], n_samples=N_SAMPLES)
    direction = torch.tensor(p, dtype=torch.float64)
    exact = 2 * direction.numpy().sum() * np.ones(2)
    rng = np.random.default_rng(seed_of("ridge", key, p))
    z = []
    for _ in range(REPETITIONS):
        product = estimate(estimator, objective, np.zeros(2), rng).measure_hessp(direction)
        z.append(z_scores(Mean(product.value.numpy(), product.standard_error.numpy()), exact))
    assert_calibrated(z)


@both
@pytest.mark.parametrize("key", ESTIMATORS)
def test_reported_standard_errors_shrink_as_one_over_the_root(key, antithetic):
    # n_samples times the squared error is an unbiased estimate of one number, whatever n_samples; where samples are
    # coupled by a baseline, up to terms of order 1 / n_samples, which are below the noise here.
    f, x, p = make("waves", 2)
    objective = evaluator(f, 2)
    rng = np.random.default_rng(seed_of("root", key, antithetic))
    squares = []
    for m in (100, 1600):
        estimator = attrs.evolve(ESTIMATORS[key], n_samples=m, antithetic=antithetic)
        records = [quantities(estimator, estimate(estimator, objective, x, rng), p) for _ in range(60)]
        stacked = [np.concatenate([mean.error for mean in record.values()]) for record in records]
        squares.append(over_repetitions(m * np.square(stacked)))
    few, many = squares
    difference = Mean(few.value - many.value, np.hypot(few.error, many.error))
    assert np.abs(z_scores(difference, np.zeros_like(few.value))).max() < THRESHOLD
    # And the test would have seen errors that shrink as 1 / n_samples or not at all.
    assert (many.value > THRESHOLD * many.error).all()


def test_one_sample_has_no_standard_error():
    f, x, p = make("waves", 2)
    for key, estimator in ESTIMATORS.items():
        if key.startswith("shared"):
            continue
        record = estimate(attrs.evolve(estimator, n_samples=1), evaluator(f, 2), x, np.random.default_rng(0))
        found = quantities(attrs.evolve(estimator, n_samples=1), record, p)
        # The optimal proposals have one sample of each element, but several of fun.
        assert all(np.isinf(mean.error).all() for name, mean in found.items() if name != "fun"), key
        assert all(np.isfinite(mean.value).all() for mean in found.values()), key


def test_spread_is_zero_on_a_plateau():
    estimator = ESTIMATORS["shared"]
    record = estimate(estimator, evaluator(lambda X: np.full(len(X), 3.0), 2), np.zeros(2), np.random.default_rng(0))
    assert record.spread == 0
    assert record.sigma == SIGMA
    assert record.fun == 3.0
    assert record.jac.tolist() == [0.0, 0.0]
    assert record.hess.tolist() == [[0.0, 0.0], [0.0, 0.0]]
