"""Schedules of sigma."""

import numpy as np
import pytest

import invopt
from invopt import Constant, Exponential, Linear, estimators


def test_constant():
    assert [Constant(2.0).at(k, 5.0) for k in (0, 9)] == [2.0, 2.0]
    assert Constant().at(3, 5.0) == 5.0


def test_linear_stays_falls_and_stays():
    schedule = Linear(2.0, ratio=0.5, steps=4, constant=3)
    assert [schedule.at(k, 9.0) for k in range(10)] == [2, 2, 2, 2, 1.75, 1.5, 1.25, 1, 1, 1]


def test_exponential_falls_to_its_floor():
    schedule = Exponential(factor=0.5, ratio=0.2)
    assert [schedule.at(k, 8.0) for k in range(5)] == [8, 4, 2, 1.6, 1.6]


def test_a_number_is_constant_and_none_is_the_estimators_own():
    run = dict(x0=[3.0, 1.0], rng=0, maxiter=12, gtol=0, xtol=0)
    fixed = invopt.minimize(lambda x: float(x @ x), estimators.SharedSamples(sigma=0.3), **run)
    np.testing.assert_array_equal(fixed.history.sigma, np.full(13, 0.3))
    own = invopt.minimize(lambda x: float(x @ x), estimators.SharedSamples(), **run)
    np.testing.assert_allclose(own.history.sigma, 0.9 ** np.arange(13))


def test_the_problems_sigma_is_in_units_of_x_scale():
    """At x_scale 10 and sigma 0.5, values are taken some 5 away from x, whatever the problem's units."""
    seen = []
    problem = invopt.problems.Function(
        fun=lambda x: seen.append(x[0]) or float(x @ x), x0=[0.0], x_scale=[10.0], sigma=0.5
    )
    estimator = estimators.SharedSamples(n_samples=5000, proposal="gaussian")
    invopt.differentiate(problem, estimator, rng=0)
    # 5000 independent draws: the standard error of a standard deviation of 5 is 0.05.
    assert np.std(seen[:5000]) == pytest.approx(5.0, abs=0.25)


def test_step_decay():
    schedule = invopt.StepDecay(0.9, factor=0.5, every=10)
    assert [schedule.at(i, 7.0) for i in (0, 9, 10, 25)] == [0.9, 0.9, 0.45, 0.225]
    assert invopt.StepDecay(every=2).at(2, 3.0) == pytest.approx(1.0)
    for fields in ({"factor": 0}, {"factor": 1.5}, {"every": 0}, {"start": -1}):
        with pytest.raises(ValueError, match=next(iter(fields))):
            invopt.StepDecay(**fields)
