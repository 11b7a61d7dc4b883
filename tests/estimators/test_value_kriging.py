"""Kriging of values, and the method for it."""

import numpy as np
import pytest

from invopt import Status, minimize, problems
from invopt.bench.results.measures import evaluations_to
from invopt.estimators.emulation.kernel import Metric
from invopt.estimators.emulation.value_emulator import emulate


def model_of(fun, count=25, n=2, unit=0.5):
    points = np.random.default_rng(0).normal(size=(count, n))
    values = np.array([fun(unit * point) for point in points])
    return emulate(points, values, np.arange(count), Metric(np.full(n, np.inf)), unit)


def smooth(x):
    return float(3 + np.sin(x[0]) + x[0] * x[1])


def test_the_model_predicts_smooth_functions():
    model = model_of(smooth)
    at = 0.3 * np.random.default_rng(1).normal(size=(20, 2))
    mean, variance = model.predict(at)
    true = np.array([smooth(x) for x in at])
    assert np.abs(mean - true).max() < 1e-2
    assert (variance >= 0).all()
    assert np.abs(model.predict(model.points)[0] - model.values).max() < 1e-3


def test_slopes_are_those_of_the_prediction():
    model, x, h = model_of(smooth), np.array([0.2, -0.1]), 1e-3
    mean, variance, mean_slope, variance_slope = model.slopes(x)
    assert mean == pytest.approx(model.predict(x[None])[0][0])
    assert variance == pytest.approx(model.predict(x[None])[1][0])
    for i, step in enumerate(h * np.eye(2)):
        (ahead, behind), (more, less) = model.predict(np.array([x + step, x - step]))
        assert mean_slope[i] == pytest.approx((ahead - behind) / (2 * h), rel=1e-2, abs=1e-3)
        assert variance_slope[i] == pytest.approx((more - less) / (2 * h), rel=0.1, abs=1e-4)


def test_few_evaluations_suffice_on_a_quadratic():
    problem = problems.Quadratic()
    counts = []
    for seed in range(10):
        start = problem.starts(np.random.default_rng(seed), 1)[0]
        found = minimize(problem, "value-kriging", "lower-bound", x0=start, rng=seed, maxfev=25, progress=False)
        counts.append(evaluations_to(found, 0.01))
    assert np.median(counts) <= 11
    assert max(counts) <= 15


def test_it_ends_where_descents_find_nothing_lower():
    found = minimize(problems.Quadratic(), "value-kriging", "lower-bound", rng=0, maxfev=300, progress=False)
    assert found.status is Status.FINISHED
    assert found.nfev < 200


def test_failures_count_as_the_highest_value():
    def fun(x):
        return float(x @ x) if x[0] < 1.5 else np.inf

    found = minimize(fun, "value-kriging", "lower-bound", x0=[1.0, 1.0], rng=0, maxfev=60, progress=False)
    assert found.fun < 1e-2


def test_periods_are_those_of_the_kernel():
    class Angle(problems.Quadratic):
        periods = np.array([2.0, np.inf])

    found = minimize(Angle(), "value-kriging", "lower-bound", rng=0, maxfev=12, progress=False)
    # Points a period apart are the same, so that none is evaluated twice.
    turns = found.history.x[:, 0] % 2.0
    assert len(np.unique(np.round(turns, 12))) > 5
