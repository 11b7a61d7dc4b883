"""What a journal costs: on the mug at its default size, and on a function that costs nothing."""

import time

import numpy as np

import invopt
from invopt import estimators, problems

# Single pairs differ by tens of percent on a machine that others use too: the median of many.
PAIRS = 21
HESS = np.array([[10.0, 7.5], [7.5, 10.0]])


def free(x):
    return 0.5 * x @ HESS @ x


def in_turn(run, folder):
    """Seconds and evaluations of runs without and with a journal, in turn, so that what else goes on strikes both."""
    found = []
    for i in range(PAIRS):
        for journal in (None, folder / f"{i}.sqlite"):
            began = time.perf_counter()
            nfev = run(journal).nfev
            found.append((time.perf_counter() - began, nfev))
    return found[::2], found[1::2]


def test_free_function(tmp_path, capsys):
    def run(journal):
        estimator = estimators.SharedSamples(sigma=0.1)
        # Opening a file takes some milliseconds, whatever the run: long enough that evaluations are what counts.
        limits = {"maxiter": 1500, "gtol": 0, "xtol": 0, "progress": False, "journal": journal}
        return invopt.minimize(free, estimator, "newton-cg", x0=[1.0, 2.0], rng=0, **limits)

    without, with_journal = in_turn(run, tmp_path)
    nfev = without[0][1]
    more = sorted(1e6 * (b[0] - a[0]) / nfev for a, b in zip(without, with_journal, strict=True))
    with capsys.disabled():
        print(f"\nfree function, {nfev} evaluations: a journal costs {more[len(more) // 2]:.1f} us each, n = {PAIRS}")
        print("  quartiles {:.1f} and {:.1f} us".format(*np.quantile(more, (0.25, 0.75))))
    assert more[len(more) // 2] < 30


def test_mug(tmp_path, capsys):
    problem = problems.Mug(size="default")

    def run(journal):
        return invopt.minimize(problem, rng=0, maxfev=150, xtol=0, gtol=0, progress=False, journal=journal)

    run(None)
    without, with_journal = in_turn(run, tmp_path)
    assert {nfev for _, nfev in without} == {nfev for _, nfev in with_journal}
    ratios = sorted(100 * (b[0] / a[0] - 1) for a, b in zip(without, with_journal, strict=True))
    with capsys.disabled():
        nfev = without[0][1]
        each = 1e3 * min(seconds for seconds, _ in without) / nfev
        print(f"\nmug, {nfev} renders of {each:.1f} ms: a journal costs {ratios[len(ratios) // 2]:.1f} %, n = {PAIRS}")
        print("  quartiles {:.1f} and {:.1f} %".format(*np.quantile(ratios, (0.25, 0.75))))
    assert ratios[len(ratios) // 2] < 5
