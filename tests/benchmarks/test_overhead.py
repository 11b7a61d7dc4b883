"""What an iteration costs beyond its evaluations: SharedSamples + NewtonCG on a free function of two parameters."""

import time

import numpy as np
import pytest

import invopt
from invopt import estimators, optimizers, problems

ITERATIONS = 300
HESS = np.array([[10.0, 7.5], [7.5, 10.0]])


def one_by_one(x):
    return 0.5 * x @ HESS @ x


def many_at_once(x):
    return 0.5 * ((x @ HESS) * x).sum(axis=1)


def seconds_of_a_run(fun, vectorized):
    problem = problems.Function(fun=fun, x0=[1.0, 2.0], vectorized=vectorized)
    estimator = estimators.SharedSamples(sigma=0.1)
    began = time.perf_counter()
    result = invopt.minimize(
        problem, estimator, optimizers.NewtonCG(), rng=0, maxiter=ITERATIONS, gtol=0, xtol=0, progress=False
    )
    assert result.nit == ITERATIONS
    return time.perf_counter() - began


def seconds_of_a_bare_loop(fun, vectorized):
    """The same evaluations around a fixed point, and nothing else."""
    rng = np.random.default_rng(0)
    cost = estimators.SharedSamples().cost(2)
    began = time.perf_counter()
    for _ in range(ITERATIONS):
        points = rng.standard_normal((cost, 2))
        values = fun(points) if vectorized else [fun(point) for point in points]
        assert len(values) == cost
    return time.perf_counter() - began


@pytest.mark.parametrize(("fun", "vectorized"), [(one_by_one, False), (many_at_once, True)])
def test_overhead_of_an_iteration(fun, vectorized, capsys):
    # Alternating, and the best of each, so that what else the machine does strikes both or neither.
    pairs = [(seconds_of_a_run(fun, vectorized), seconds_of_a_bare_loop(fun, vectorized)) for _ in range(7)]
    run, bare = (1e3 * min(column) / ITERATIONS for column in zip(*pairs, strict=True))
    with capsys.disabled():
        print(f"\n{fun.__name__:14s} iteration {run:.3f} ms, bare loop {bare:.3f} ms, overhead {run - bare:.3f} ms")
    assert run < 1.0
