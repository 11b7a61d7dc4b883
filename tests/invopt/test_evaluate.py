"""`Objective.evaluate`: the one way in which a run asks for values."""

import time

import numpy as np
import pytest
import torch

import invopt
from invopt import Capability, problems
from invopt.core.outcome import Chunk, Limits
from invopt.evaluate.budget import Budget, StopRun
from invopt.evaluate.evaluator import CountingEvaluator
from invopt.evaluate.workers.open import open_objective

from ..estimators.lines import Line, LineObjective


def chunks(k, n=2):
    rows = torch.arange(k * n, dtype=torch.float64).reshape(k, n)
    return [Chunk(rows[i : i + 1], np.array([i])) for i in range(k)]


def opened(fun, **options):
    return problems.Function(fun=fun, x0=[0.0, 0.0], **options).open()


def test_outcomes_come_in_order_and_are_told_at_once():
    told = []
    with opened(lambda x: float(x.sum())) as objective:
        outcomes = objective.evaluate("fun", chunks(3), arrived=lambda i, outcome: told.append((i, outcome)))
        for i, outcome in enumerate(outcomes):
            assert outcome.values.tolist() == [float(4 * i + 1)]
            assert (outcome.failure, outcome.worker) == (None, "")
            assert told[-1] == (i, outcome)
            assert len(told) == i + 1


def test_a_failure_is_an_outcome_and_the_others_are_evaluated():
    def fails(x):
        if x[0] == 2.0:
            raise ZeroDivisionError("two")
        return float(x[0])

    with opened(fails) as objective:
        outcomes = list(objective.evaluate("fun", chunks(3)))
    assert [outcome.failure is None for outcome in outcomes] == [True, False, True]
    assert outcomes[1].values is None
    assert isinstance(outcomes[1].failure, ZeroDivisionError)


def test_seconds_are_those_of_the_evaluation():
    def slow(x):
        time.sleep(0.05)
        return 1.0

    with opened(slow) as objective:
        (outcome,) = objective.evaluate("fun", chunks(1))
    assert 0.05 <= outcome.seconds < 1.0


def test_none_is_begun_after_the_deadline():
    calls = []
    with opened(lambda x: calls.append(1) or 1.0) as objective:
        assert list(objective.evaluate("fun", chunks(3), limits=Limits(deadline=time.perf_counter()))) == []
    assert calls == []


@pytest.mark.parametrize("workers", [1, map])
def test_residuals_and_derivatives_are_asked_for_in_the_same_way(workers):
    with open_objective(problems.Box2(resolution=16), workers) as objective:
        (outcome,) = objective.evaluate("residuals", chunks(1))
        assert outcome.values.shape == (1, 256)
    with open_objective(problems.Quadratic(), workers) as objective:
        (outcome,) = objective.evaluate("value_and_jac", chunks(1))
        point = torch.tensor([0.0, 1.0], dtype=torch.float64)
        value, jac = objective.value_and_jac(point, seed=0)
        assert outcome.values.tolist() == [[value, *jac.tolist()]]


def test_an_objective_of_ones_own_may_evaluate_in_its_own_way():
    class Own(invopt.Objective):
        def __init__(self):
            self.asked = []

        def fun(self, x, *, seed, spp=None):
            return x.square().sum(1)

        def evaluate(self, name, chunks, **options):
            self.asked.append(len(chunks))
            yield from super().evaluate(name, chunks, **options)

    own = Own()

    class Owned(problems.Quadratic):
        provides = Capability.FUN

        def open(self):
            return own

    result = invopt.minimize(Owned(), rng=0, maxfev=20, progress=False)
    assert sum(own.asked) > 0
    assert result.nfev > 0


def test_more_samples_per_pixel_count_as_more_evaluations():
    evaluator = CountingEvaluator(
        LineObjective(np.ones((4, 2))),
        Line.provides,
        torch.ones(2, dtype=torch.float64),
        budget=Budget(maxfev=20),
        samples=4,
    )
    points, seeds = torch.ones((2, 2), dtype=torch.float64), np.array([1, 1])
    evaluator.residuals(points, seed=seeds)
    evaluator.residuals(points, seed=seeds, spp=4)
    assert evaluator.nfev == 4
    evaluator.residuals(points, seed=seeds, spp=18)
    assert evaluator.nfev == 4 + 2 * 5
    with pytest.raises(StopRun):
        evaluator.residuals(points, seed=seeds, spp=16)
