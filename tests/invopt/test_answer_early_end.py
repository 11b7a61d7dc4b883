"""Answers after a time limit, an interruption or an error."""

import math

import numpy as np
import pytest

import invopt
from invopt import Session, Status, problems

from .small_budgets import PAIRS, Recorded, check


@pytest.mark.parametrize("lowest", [0.0, 0.8])
@pytest.mark.parametrize("pair", ["default", "cobyqa", "shared-samples"])
def test_a_time_limit_leaves_time_for_the_start(pair, lowest):
    made = Recorded(lambda x: float(((x - lowest) ** 2).sum()), seconds=0.03)
    result = invopt.minimize(made, *PAIRS[pair], x0=[0.0, 0.0], rng=0, maxtime=0.4, gtol=0, xtol=0)
    assert result.status is Status.MAXTIME
    check(result, made, np.zeros(2))


def test_what_a_time_limit_cuts_off_counts_as_far_as_it_was_evaluated():
    """The few samples of an unfinished first estimate still count."""
    made = Recorded(lambda x: float(((x - 3) ** 2).sum()), seconds=0.03)
    estimator = invopt.estimators.SharedSamples(n_samples=100)
    result = invopt.minimize(made, estimator, x0=[0.0, 0.0], rng=0, maxtime=0.2)
    assert result.status is Status.MAXTIME
    assert 1 < len(made.values) == result.nfev
    assert result.fun == min(made.values) == made.fun(result.x)
    assert "the start was not evaluated" in result.message


class Ending(Recorded):
    """Ends the run at its k-th evaluation."""

    def __init__(self, fun, k, error, seconds=0.0):
        super().__init__(fun, seconds)
        self.k, self.error, self.raised = k, error, False

    def __call__(self, x):
        if len(self.values) == self.k and not self.raised:
            self.raised = True
            raise self.error
        return super().__call__(x)


@pytest.mark.parametrize("seconds", [0.0, 0.06])
@pytest.mark.parametrize("k", [1, 4, 9])
@pytest.mark.parametrize("pair", ["default", "shared-samples", "cobyqa"])
def test_after_ctrl_c_the_start_is_evaluated_if_it_was_not(pair, k, seconds):
    made = Ending(lambda x: float(x @ x), k, KeyboardInterrupt(), seconds)
    result = invopt.minimize(made, *PAIRS[pair], x0=[0.0, 0.0], rng=0, maxfev=200)
    assert result.status is Status.INTERRUPTED
    check(result, made, np.zeros(2))
    assert result.fun == 0.0
    # Only the start is evaluated if evaluations are slow.
    assert seconds == 0 or len(made.values) <= k + 1


@pytest.mark.parametrize("pair", ["default", "shared-samples", "cobyqa"])
def test_after_an_error_what_was_evaluated_counts_and_a_missing_start_is_named(pair):
    made = Ending(lambda x: float(((x - 1) ** 2).sum()), 3, OSError("no more"))
    with pytest.raises(invopt.EvaluationError) as caught:
        invopt.minimize(made, *PAIRS[pair], x0=[0.0, 0.0], rng=0, maxfev=200)
    result = caught.value.result
    assert result.fun == min(made.values) == made.fun(result.x)
    assert result.fun_standard_error == math.inf
    assert ("the start was not evaluated" in result.message) == (2.0 not in made.values)


def bell(x):
    return -float(np.exp(-((x - 5) ** 2).sum()))


def small(scale):
    return lambda x: scale * float(((x - 1) ** 2).sum())


TINY = {"bell": bell, **{f"times {scale:g}": small(scale) for scale in (1e-9, 1e-30, 1e-200)}}


@pytest.mark.parametrize("method", ["bfgs", "lbfgs", "newton", "l-bfgs-b", "gradient-descent"])
@pytest.mark.parametrize("name", TINY)
def test_values_too_small_for_gtol_are_no_success_where_a_lower_one_was_seen(name, method):
    for seed in range(5):
        result = invopt.minimize(TINY[name], "finite-difference", method, x0=[1.5, -1.2], rng=seed, maxfev=300)
        at_last = TINY[name](result.x_last)
        assert not result.success or result.fun >= at_last * (1 + 1e-3 * math.copysign(1, at_last)) - 1e-300


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_minimum_that_was_reached_stays_a_success(scale):
    result = invopt.minimize(small(scale), "finite-difference", "bfgs", x0=[3.0, -2.0], rng=0, maxfev=300, gtol=1e-9)
    assert result.status in {Status.CONVERGED, Status.XTOL, Status.FTOL}


def test_a_session_has_not_ended_before_its_answer_is_measured():
    with Session(x0=[0.1], bounds=[(0.1, 0.1)], rng=0, maxfev=50) as session:
        assert not session.done
        assert (session.result.status, session.result.success) == (Status.RUNNING, False)
        while not session.done:
            session.tell(2 * session.ask().x[:, 0])
        assert (session.result.status, session.result.fun) == (Status.CONVERGED, 0.2)


def test_no_session_says_success_before_it_is_done():
    with Session(x0=[0.4, 0.1], estimator="finite-difference", method="bfgs", rng=0, maxfev=300) as session:
        while not session.done:
            assert session.result.status is Status.RUNNING
            session.tell(((session.ask().x - 0.3) ** 2).sum(1))
        assert session.result.success


@pytest.mark.parametrize("start", [99.0, np.nextafter(0.2, 1)])
def test_a_start_outside_equal_bounds_is_an_error(start):
    with pytest.raises(ValueError, match=r"'x0' must be inside the bounds: x0\[1\] = \S+ is outside \[0.2, 0.2\]"):
        invopt.minimize(lambda x: float(x @ x), x0=[0.0, start], bounds=[(-1, 1), (0.2, 0.2)])
    with pytest.raises(ValueError, match=r"x0\[1\] = \S+ is outside \[0.2, 0.2\]"):
        problems.Function(fun=lambda x: float(x @ x), x0=[0.0, start], bounds=[(-1, 1), (0.2, 0.2)])


@pytest.mark.parametrize("maxfev", [1, 3, 4, 30])
def test_an_objective_that_only_raises_is_an_error_with_any_budget(maxfev):
    def fails(x):
        raise ValueError("no licence")

    with pytest.raises(invopt.EvaluationError, match="raised ValueError: no licence"):
        invopt.minimize(fails, [1.0, 2.0], rng=0, maxfev=maxfev, progress=False)
