"""Evaluations for the answer of an interrupted run are used when it resumes."""

import itertools
from collections import Counter

import numpy as np

import invopt
from invopt import problems


def test_no_value_measured_for_an_answer_is_measured_again(tmp_path):
    calls = Counter()
    numbers = itertools.count()
    stop = -1

    def fun(x, seed):
        if next(numbers) == stop:
            raise KeyboardInterrupt
        calls[x.tobytes(), seed] += 1
        return float((x * x).sum()) + 0.1 * np.random.default_rng([seed, *abs(x * 1e6).astype(int)]).standard_normal()

    def run(file):
        problem = problems.Function(fun=fun, x0=[2.0, 1.0], sigma=0.5, seeded=True)
        return invopt.minimize(problem, rng=3, maxfev=60, journal=tmp_path / file, identity="two squares and noise")

    whole = run("whole")
    asked, met = calls.copy(), 0
    for back in range(8, 24, 2):
        calls.clear()
        numbers, stop = itertools.count(), whole.nfev - back
        ended = run(f"{back}")
        first = calls.copy()
        calls.clear()
        stop = -1
        rest = run(f"{back}")
        assert np.array_equal(rest.x, whole.x)
        assert rest.fun == whole.fun
        assert all(asked[key] > 1 for key in calls & first), back
        met += ended.status is invopt.Status.INTERRUPTED
    assert met > 2
