"""Stopping rules: a run without information does not end as if it had converged."""

import itertools

import numpy as np

import invopt
from invopt import Status, estimators, optimizers


def test_where_one_way_leads_back_into_the_picture_there_is_no_minimum():
    """The derivative is not exactly zero; only probes in both directions show the plateau."""
    result = invopt.minimize(
        lambda x: 1.0 + max(float(x[0]), 0.0) + 5e-13 * float(x[0]),
        estimators.FiniteDifference(abs_step=0.1),
        "bfgs",
        x0=[-0.5],
        rng=0,
        gtol=1e-9,
    )
    assert result.history.nfev[0] == 2
    assert result.status is Status.PLATEAU


def test_a_small_gradient_of_a_plateau_with_noise_is_no_minimum():
    """Its standard error is small too, and the function has not decreased."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        estimator = estimators.SharedSamples(sigma=0.5, n_samples=32)
        result = invopt.minimize(
            lambda x, rng=rng: 1.0 + 1e-9 * rng.normal(), estimator, "adam", x0=[3.0, 1.0], rng=seed, maxfev=2000
        )
        assert not result.success


def test_only_estimates_in_a_row_that_see_nothing_make_a_plateau():
    calls = itertools.count()

    def seen_by_every_other_estimate(x):
        return float(x[0]) if next(calls) // 100 % 2 else 1.0

    estimator, method = estimators.FR22(sigma=0.5, n_samples=50), optimizers.Adam(lr=1e-3)
    result = invopt.minimize(seen_by_every_other_estimate, estimator, method, x0=[1.0], rng=0, maxiter=60)
    assert result.status is Status.MAXITER
