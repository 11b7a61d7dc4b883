"""Callbacks: arguments of each signature, as in scipy, and how they end a run."""

import functools

import numpy as np
import pytest
import scipy.optimize

import invopt
from invopt import Status, as_method


def bowl(x):
    return float((x - 1) @ (x - 1))


def run(callback, **options):
    return invopt.minimize(bowl, x0=[3.0, -2.0], rng=0, maxiter=3, callback=callback, **options)


class Kept:
    """Callbacks of many kinds that record their arguments."""

    def __init__(self):
        self.points, self.results = [], []

    def method(self, xk):
        self.points.append(xk)

    def __call__(self, intermediate_result):
        self.results.append(intermediate_result)

    def tagged(self, intermediate_result, tag):
        self.results.append(intermediate_result)


def point_callbacks(kept):
    yield "function", lambda xk: kept.points.append(xk)
    yield "another name", lambda whatever: kept.points.append(whatever)
    yield "a default", lambda xk, scale=2.0: kept.points.append(xk)
    yield "any number", lambda *given: kept.points.append(*given)
    yield "bound method", kept.method
    yield "partial", functools.partial(lambda tag, xk: kept.points.append(xk), "tag")
    yield "builtin", kept.points.append


def result_callbacks(kept):
    yield "keyword only", lambda *, intermediate_result: kept.results.append(intermediate_result)
    yield "by name", lambda intermediate_result: kept.results.append(intermediate_result)
    yield "callable object", kept
    yield "partial", functools.partial(kept.tagged, tag=1)
    yield "any keywords", lambda **given: kept.results.append(given["intermediate_result"])


def names(callbacks):
    return [name for name, _ in callbacks(Kept())]


@pytest.mark.parametrize("name", names(point_callbacks))
def test_a_callback_gets_its_own_copy_of_the_point(name):
    kept = Kept()
    res = run(dict(point_callbacks(kept))[name])
    np.testing.assert_array_equal(kept.points, res.history.x)
    assert all(type(point) is np.ndarray for point in kept.points)
    assert len({id(point) for point in kept.points}) == len(kept.points) == 4


@pytest.mark.parametrize("name", names(result_callbacks))
def test_a_callback_gets_the_result_by_its_name(name):
    kept = Kept()
    res = run(dict(result_callbacks(kept))[name])
    assert [result.nit for result in kept.results] == [0, 1, 2, 3]
    np.testing.assert_array_equal(kept.results[-1].x, res.x)


def test_a_point_that_is_written_to_changes_nothing():
    def spoil(xk):
        xk[:] = np.nan

    np.testing.assert_array_equal(run(spoil).history.x, run(None).history.x)


@pytest.mark.parametrize("kind", ["point", "result"])
def test_stop_iteration_ends_the_run_and_true_does_not(kind):
    def stop(answer):
        if answer == "raise":
            raise StopIteration
        return True

    for answer, status in (("raise", Status.CALLBACK), ("true", Status.MAXITER)):
        by_kind = {"point": lambda xk, a=answer: stop(a), "result": lambda intermediate_result, a=answer: stop(a)}
        assert run(by_kind[kind]).status is status


def test_true_ends_the_one_method_of_scipys_that_it_ends():
    seen = []

    def look(xk, state):
        seen.append((xk, state))
        return len(seen) == 3

    res = run(look, estimator="finite-difference", method="trust-constr")
    assert res.status is Status.CALLBACK
    assert len(seen) == 3
    np.testing.assert_array_equal(seen[-1][0], seen[-1][1].x)
    # The same function with one argument is called with the point there too.
    points = []
    run(points.append, estimator="finite-difference", method="trust-constr")
    assert len(points) >= 3
    assert all(point.shape == (2,) for point in points)


@pytest.mark.parametrize("callback", [lambda: None, lambda a, b: None, lambda *, other: None, lambda a, *, b: None])
def test_what_cannot_be_called_so_is_refused_before_the_first_evaluation(callback):
    with pytest.raises(TypeError, match=r"'callback' must be callable as callback\(xk\) or .* and takes \("):
        invopt.minimize(pytest.fail, x0=[1.0], callback=callback)


def test_two_arguments_are_told_whom_they_are_for():
    with pytest.raises(TypeError, match=r"callback\(xk, state\) is for Scipy\('trust-constr'\) alone"):
        invopt.minimize(pytest.fail, x0=[1.0], callback=lambda xk, state: None)


async def waiting(xk):
    pass


def yielding(xk):
    yield xk


@pytest.mark.parametrize("callback", [waiting, yielding])
def test_a_function_whose_call_runs_nothing_is_refused(callback):
    with pytest.raises(TypeError, match="'callback' must be an ordinary function"):
        invopt.minimize(pytest.fail, x0=[1.0], callback=callback)


def test_as_method_takes_the_same_callbacks():
    kept, method = Kept(), as_method("finite-difference", "bfgs")
    for callback in (kept.points.append, kept, kept.method):
        scipy.optimize.minimize(bowl, [3.0, -2.0], method=method, callback=callback)
    assert len(kept.points) == 2 * len(kept.results) > 2
    with pytest.raises(TypeError, match="'callback' must be callable as"):
        scipy.optimize.minimize(bowl, [3.0], method=method, callback=lambda: None)
