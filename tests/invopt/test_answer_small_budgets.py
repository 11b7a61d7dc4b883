"""Answers of runs with small budgets are no worse than the start."""

import functools
import math

import numpy as np
import pytest

import invopt
from invopt import Journal, Session, Status, problems

from .small_budgets import BUDGETS, FUNCTIONS, PAIRS, Recorded, check, rosenbrock, starts


@pytest.mark.parametrize("maxfev", BUDGETS)
@pytest.mark.parametrize("pair", PAIRS)
def test_an_answer_is_never_above_the_start_nor_what_was_evaluated(pair, maxfev):
    # A Latin square: each function has each start with a third of the budgets.
    for i, (fun, n, lowest) in enumerate(FUNCTIONS.values(), BUDGETS.index(maxfev)):
        x0, made = starts(n, lowest)[i % 3], Recorded(fun)
        result = invopt.minimize(made, *PAIRS[pair], x0=x0, rng=0, maxfev=maxfev)
        check(result, made, x0, maxfev=maxfev)
        assert result.fun_standard_error in {0.0, math.inf}


@pytest.mark.parametrize("maxfev", BUDGETS)
@pytest.mark.parametrize("pair", ["default", "shared-samples"])
def test_an_answer_of_residuals_is_never_above_the_start_nor_what_was_evaluated(pair, maxfev):
    def residuals(x):
        values.append(np.square([10 * (x[1] - x[0] ** 2), 1 - x[0]]).mean())
        return np.array([10 * (x[1] - x[0] ** 2), 1 - x[0]])

    for x0 in starts(2, 1.0):
        values = []
        problem = problems.Function(fun=residuals, x0=x0, residuals=True)
        result = invopt.minimize(problem, *PAIRS[pair], rng=0, maxfev=maxfev)
        assert len(values) == result.nfev <= maxfev
        lowest = min(values)
        residuals(result.x)
        residuals(x0)
        assert result.fun == pytest.approx(values[-2], rel=1e-12, abs=1e-300)
        assert result.fun <= min(lowest, values[-1]) * (1 + 1e-8)


@pytest.mark.parametrize("pair", PAIRS)
def test_with_noise_an_answer_is_no_worse_than_the_start_by_more_than_the_noise(pair):
    noise = 0.05

    def fun(x, seed):
        return float(((x - 0.3) ** 2).sum() + noise * np.random.default_rng(seed).standard_normal())

    for maxfev in BUDGETS:
        for x0 in starts(2, 0.3):
            result = invopt.minimize(
                problems.Function(fun=fun, x0=x0, seeded=True), *PAIRS[pair], rng=maxfev, maxfev=maxfev
            )
            assert ((result.x - 0.3) ** 2).sum() <= ((x0 - 0.3) ** 2).sum() + 6 * noise
            assert abs(result.fun - ((result.x - 0.3) ** 2).sum()) <= 5 * noise
            assert result.nfev <= maxfev
            assert result.fun_standard_error > 0


@pytest.mark.parametrize("pair", PAIRS)
def test_a_budget_that_pays_no_estimate_pays_for_the_start(pair):
    made = Recorded(lambda x: float(x @ x))
    result = invopt.minimize(made, *PAIRS[pair], x0=[3.0, 4.0], rng=0, maxfev=1)
    assert (result.x.tolist(), result.fun, result.nfev) == ([3.0, 4.0], 25.0, 1)
    assert result.fun_standard_error == math.inf
    assert result.status is Status.MAXFEV


def test_a_budget_that_pays_the_first_estimate_but_not_the_start_says_so():
    cost = invopt.estimators.SharedSamples(n_samples=3).cost(2)
    estimator = invopt.estimators.SharedSamples(n_samples=3)
    result = invopt.minimize(lambda x: float(x @ x), estimator, x0=[1.0, 1.0], rng=0, maxfev=cost)
    assert f"`maxfev` is {cost}, and the first estimate takes {cost}, the start one more" in result.message
    assert result.fun == 2.0
    more = invopt.minimize(lambda x: float(x @ x), estimator, x0=[1.0, 1.0], rng=0, maxfev=cost + 1)
    assert more.nfev == cost + 1


def test_a_start_that_the_first_estimate_evaluates_takes_no_more():
    problem = problems.Function(fun=lambda x: float(x @ x), jac=lambda x: 2 * x, x0=[1.0, 1.0])
    exact = invopt.minimize(problem, rng=0, maxfev=2)
    assert (exact.nfev, exact.fun, len(exact.history)) == (2, 2.0, 1)
    values = invopt.minimize(lambda x: float(x @ x), "function-value", "cmaes", x0=[1.0, 1.0], rng=0, maxfev=1)
    assert (values.nfev, values.fun, len(values.history)) == (1, 2.0, 1)


@pytest.mark.parametrize("kind", ["fun", "residuals"])
@pytest.mark.parametrize("maxfev", BUDGETS)
def test_a_session_gives_the_same_answer(maxfev, kind):
    residuals = kind == "residuals"

    def fun(x):
        return x - [0.5, 3.0] if residuals else float(((x - [0.5, 3.0]) ** 2).sum())

    problem = problems.Function(fun=fun, x0=[0.5, 2.9], residuals=residuals)
    expected = invopt.minimize(problem, rng=0, maxfev=maxfev)
    with Session(problem, rng=0, maxfev=maxfev) as session:
        while not session.done:
            request = session.ask()
            told = [fun(x) for x in request.x]
            squared = residuals and request.kind == "fun"
            session.tell([float(np.mean(np.square(each))) for each in told] if squared else told)
    assert session.result.x.tolist() == expected.x.tolist()
    assert (session.result.fun, session.result.nfev) == (expected.fun, expected.nfev)
    assert expected.nfev >= 1


JOURNALED = ["default", "cobyqa", "bfgs"]


@pytest.fixture(scope="module")
def without_a_journal():
    """Runs of each pairing with each budget."""
    return functools.cache(lambda pair, maxfev: minimize_rosenbrock(pair, maxfev, None))


def minimize_rosenbrock(pair, maxfev, journal):
    return invopt.minimize(rosenbrock, *PAIRS[pair], x0=[-1.2, 1.0], rng=0, maxfev=maxfev, journal=journal)


def assert_same_bits(kept, free):
    assert kept.x.tolist() == free.x.tolist()
    assert (kept.fun, kept.nfev, kept.status) == (free.fun, free.nfev, free.status)


@pytest.mark.parametrize("pair", JOURNALED)
@pytest.mark.parametrize("more", [1, 2, 10, 23, 40])
def test_a_journal_gives_the_same_bits_again(tmp_path, pair, more, without_a_journal):
    for maxfev in (1, 2, 5, 10, more):
        budget = max(maxfev, more)
        assert_same_bits(minimize_rosenbrock(pair, budget, tmp_path / "a.sqlite"), without_a_journal(pair, budget))


@pytest.mark.parametrize("pair", JOURNALED)
def test_a_journal_gives_the_same_bits_with_a_larger_budget(tmp_path, pair, without_a_journal):
    for maxfev in BUDGETS:
        kept = minimize_rosenbrock(pair, maxfev, tmp_path / "b.sqlite")
        assert_same_bits(kept, without_a_journal(pair, maxfev))
    assert len(Journal(tmp_path / "b.sqlite").runs) == 1
