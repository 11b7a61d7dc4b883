"""The contract of invopt, and what each part promises beyond it."""

import math

import numpy as np
import pytest
from own_part import LightBarrier, RandomDirections, Signum

import invopt
from invopt import testing


@pytest.mark.parametrize("check", testing.PROBLEM_CHECKS, ids=lambda check: check.__name__)
def test_problem(check):
    check(LightBarrier())


@pytest.mark.parametrize("check", testing.ESTIMATOR_CHECKS, ids=lambda check: check.__name__)
def test_estimator(check):
    check(RandomDirections())


@pytest.mark.parametrize("check", testing.OPTIMIZER_CHECKS, ids=lambda check: check.__name__)
def test_method(check):
    check(Signum())


def test_the_bar_is_found():
    result = invopt.minimize("light-barrier", "random-directions", "signum", rng=0, maxfev=600)
    # Two distances between sensors.
    assert np.abs(result.x - LightBarrier().x_opt).max() < 0.01


def test_an_estimate_leaves_out_what_failed():
    def fun(x):
        return math.nan if x[0] > 2.5 else float(x @ x)

    result = invopt.minimize(fun, RandomDirections(), Signum(), x0=[2.0, 1.0], rng=0, maxfev=300, max_nonfinite=0.9)
    assert result.n_nonfinite > 0
    assert np.abs(result.x).max() < 0.3


def test_a_parameter_out_of_range_is_an_error():
    with pytest.raises(ValueError, match="'beta' must be < 1: 1"):
        Signum(beta=1)
