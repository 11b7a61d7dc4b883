"""With few evaluations, little time, or an early end: what is returned is no worse than the start or what was seen."""

import math
import time

import numpy as np
import pytest

import invopt
from invopt import Journal, Session, Status, problems

PAIRS = {
    "default": (None, None),
    "nelder-mead": ("function-value", "nelder-mead"),
    "cobyqa": ("function-value", "cobyqa"),
    "powell": ("function-value", "powell"),
    "bfgs": ("finite-difference", "bfgs"),
    "cmaes": ("function-value", "cmaes"),
    "shared-samples": ("shared-samples", None),
}
BUDGETS = [1, 2, 3, 5, 10, 15, 20, 23, 30]
A = np.random.default_rng(0).standard_normal((4, 4))


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


# Function, number of parameters, and where it is lowest or nearly so.
FUNCTIONS = {
    "sphere": (lambda x: ((x - 0.3) ** 2).sum(), 2, 0.3),
    "sphere of one": (lambda x: ((x - 0.3) ** 2).sum(), 1, 0.3),
    "sphere of ten": (lambda x: ((x - 0.3) ** 2).sum(), 10, 0.3),
    "rosenbrock": (rosenbrock, 2, 1.0),
    "rosenbrock of five": (rosenbrock, 5, 1.0),
    "ill-conditioned": (lambda x: (10.0 ** np.arange(x.size) * x**2).sum(), 4, 0.0),
    "rotated": (lambda x: ((A @ x) ** 2).sum(), 4, 0.0),
    "offset": (lambda x: 1e6 + (x**2).sum(), 2, 0.0),
    "tiny": (lambda x: 1e-200 * (x**2).sum(), 2, 0.0),
    "huge": (lambda x: 1e100 * (x**2).sum(), 2, 0.0),
    "negative": (lambda x: -np.exp(-((x - 5) ** 2).sum()), 2, 5.0),
    "absolute": (lambda x: np.abs(x - 0.5).sum(), 3, 0.5),
    "maximum": (lambda x: np.abs(x + 1).max(), 3, -1.0),
    "root": (lambda x: np.sqrt(np.abs(x)).sum(), 2, 0.0),
    "quartic": (lambda x: ((x - 1) ** 4).sum(), 2, 1.0),
    "steps": (lambda x: (np.floor(2 * x) ** 2).sum(), 2, 0.25),
    "terraces": (lambda x: np.floor(3 * np.linalg.norm(x - 0.7)), 2, 0.7),
    "waves": (lambda x: (x**2 + 2 - 2 * np.cos(6 * x)).sum(), 2, 0.0),
    "hole": (lambda x: 0.0 if np.abs(x - 0.5).max() < 0.01 else 1.0, 2, 0.5),
    "plane": (lambda x: x.sum(), 2, -3.0),
    "constant": (lambda x: 7.0, 2, 0.0),
    "wall": (lambda x: math.inf if x[0] > 1 else (x**2).sum(), 2, 0.0),
}


class Recorded:
    """A function without noise; remembers its values."""

    def __init__(self, fun, seconds=0.0):
        self.fun, self.seconds, self.values = fun, seconds, []

    def __call__(self, x):
        time.sleep(self.seconds)
        self.values.append(float(self.fun(x)))
        return self.values[-1]


def starts(n, lowest):
    """The best place there is, so that everything else is worse; near it; and somewhere."""
    rng = np.random.default_rng(n)
    return [np.full(n, lowest), lowest + 0.1 * rng.standard_normal(n), rng.uniform(-2, 1, n)]


def check(result, made, x0, *, maxfev=math.inf):
    """The rules of an answer, of a function without noise."""
    finite, start = [value for value in made.values if math.isfinite(value)], float(made.fun(x0))
    margin = 1e-8 * max(start - result.fun, 0.0) + 1e-12 * abs(result.fun)
    assert result.fun == made.fun(result.x)
    assert result.fun <= min([*finite, start]) + margin
    assert len(made.values) == result.nfev <= maxfev


# Numbers of evaluations.


@pytest.mark.parametrize("maxfev", BUDGETS)
@pytest.mark.parametrize("pair", PAIRS)
def test_an_answer_is_never_above_the_start_nor_what_was_evaluated(pair, maxfev):
    for fun, n, lowest in FUNCTIONS.values():
        for x0 in starts(n, lowest)[:: 1 + maxfev % 2][:2]:
            made = Recorded(fun)
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
            session.tell([fun(x) for x in session.ask().x])
    assert session.result.x.tolist() == expected.x.tolist()
    assert (session.result.fun, session.result.nfev) == (expected.fun, expected.nfev)
    assert expected.nfev >= 1


@pytest.mark.parametrize("pair", ["default", "cobyqa", "bfgs"])
@pytest.mark.parametrize("more", [1, 2, 10, 23, 40])
def test_a_journal_gives_the_same_bits_with_the_same_budget_and_a_larger_one(tmp_path, pair, more):
    for maxfev in (1, 2, 5, 10, more):
        kept = invopt.minimize(
            rosenbrock, *PAIRS[pair], x0=[-1.2, 1.0], rng=0, maxfev=max(maxfev, more), journal=tmp_path / "a.sqlite"
        )
        free = invopt.minimize(rosenbrock, *PAIRS[pair], x0=[-1.2, 1.0], rng=0, maxfev=max(maxfev, more))
        assert kept.x.tolist() == free.x.tolist()
        assert (kept.fun, kept.nfev, kept.status) == (free.fun, free.nfev, free.status)
    for maxfev in BUDGETS:
        kept = invopt.minimize(
            rosenbrock, *PAIRS[pair], x0=[-1.2, 1.0], rng=0, maxfev=maxfev, journal=tmp_path / "b.sqlite"
        )
        free = invopt.minimize(rosenbrock, *PAIRS[pair], x0=[-1.2, 1.0], rng=0, maxfev=maxfev)
        assert kept.x.tolist() == free.x.tolist()
        assert (kept.fun, kept.nfev, kept.status) == (free.fun, free.nfev, free.status)
    assert len(Journal(tmp_path / "b.sqlite").runs) == 1


# Time, and other early ends.


@pytest.mark.parametrize("lowest", [0.0, 0.8])
@pytest.mark.parametrize("pair", ["default", "cobyqa", "shared-samples"])
def test_a_time_limit_leaves_time_for_the_start(pair, lowest):
    made = Recorded(lambda x: float(((x - lowest) ** 2).sum()), seconds=0.03)
    result = invopt.minimize(made, *PAIRS[pair], x0=[0.0, 0.0], rng=0, maxtime=0.4)
    assert result.status is Status.MAXTIME
    check(result, made, np.zeros(2))


def test_what_a_time_limit_cuts_off_counts_as_far_as_it_was_evaluated():
    """A first estimate of many samples, of which few are evaluated: none is a reason to forget them."""
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
    # Of what takes long, the start alone.
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


# Success.


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


# Parameters that are held.


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
