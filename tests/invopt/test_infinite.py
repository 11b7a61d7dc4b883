"""inf is worse than every finite value, for all methods that minimise values."""

import math

import numpy as np
import pytest
import torch

import invopt
from invopt import NonFiniteError, Status, estimators, optimizers, problems
from invopt.core.objective import Capability, Objective
from invopt.core.registry import names
from invopt.evaluate.evaluator import CountingEvaluator

from .evaluators import functions

ANSWER = np.array([0.6, -0.4])


def walled(x):
    """A bowl with its minimum beside a half-plane of inf."""
    if x[0] + x[1] < 0.1:
        return math.inf
    return float(np.sum((x - ANSWER) ** 2)) + 1.0


ONE_POINT = {
    **{name: optimizers.Scipy(name) for name in ("nelder-mead", "powell", "cobyla", "cobyqa")},
    "l-bfgs-b differences": optimizers.Scipy("l-bfgs-b", differences=True),
    "adaptive-bfgs": optimizers.AdaptiveBFGS(),
    "cmaes": optimizers.CMAES(sigma0=0.5),
    "py-cma": optimizers.PyCMA(sigma0=0.5),
    "portfolio": optimizers.Portfolio(),
    "differential-evolution": optimizers.DifferentialEvolution(),
}
SAMPLED = sorted(
    name
    for name, cls in names("estimators").items()
    if cls.needs == Capability.FUN and cls is not estimators.FunctionValue and cls.__module__.startswith("invopt.")
)
METHODS = sorted(
    name
    for name, cls in names("optimizers").items()
    if cls.__module__.startswith("invopt.") and cls not in (optimizers.Scipy, optimizers.CMAES, optimizers.PyCMA)
)
SCIPY = [
    "cg",
    "bfgs",
    "l-bfgs-b",
    "tnc",
    "slsqp",
    "newton-cg",
    "trust-ncg",
    "trust-krylov",
    "trust-constr",
    "trust-exact",
]
HONEST = {status for status in Status if not status.success} - {Status.NONFINITE, Status.ERROR}


def minimized(method):
    return invopt.minimize(walled, "function-value", method, x0=[2.0, 1.5], rng=0, maxfev=1500, progress=False)


@pytest.mark.parametrize("name", ONE_POINT)
def test_methods_that_ask_for_single_values_reach_the_answer(name):
    result = invopt.minimize(
        walled, "function-value", ONE_POINT[name], x0=[2.0, 1.5], rng=0, maxfev=1500, progress=False
    )
    assert math.isfinite(result.fun)
    assert np.abs(result.x - ANSWER).max() < 0.05 or result.status in HONEST
    assert result.n_nonfinite <= result.nfev


# Starts next to the wall, which samples and differences reach at once, and farther away.
@pytest.mark.parametrize("x0", [(0.1 + 1e-7, 0.0), (2.0, 1.5)], ids=["at the wall", "far"])
@pytest.mark.parametrize("name", SAMPLED)
def test_estimators_reach_the_answer_or_end_honestly(name, x0):
    problem = problems.Function(fun=walled, x0=x0, sigma=0.5)
    result = invopt.minimize(problem, name, rng=0, maxfev=1500, progress=False)
    assert result.n_nonfinite > 0 or x0[0] > 1
    assert_honest(result)


# LeastSurprise and LowerBound need a model, which differences do not give; Separable needs pictures.
MODELS = ("least-surprise", "lower-bound", "separable")


@pytest.mark.parametrize("name", [*(name for name in METHODS if name not in MODELS), *SCIPY])
def test_methods_on_differences_reach_the_answer_or_end_honestly(name):
    method = optimizers.Scipy(name) if name in SCIPY else name
    provided = "function-value" if name in ("adaptive-bfgs", "differential-evolution") else "finite-difference"
    result = invopt.minimize(walled, provided, method, x0=(0.1 + 1e-7, 0.0), rng=0, maxfev=1500, progress=False)
    assert result.n_nonfinite > 0
    assert_honest(result)


@pytest.mark.parametrize("name", [*SAMPLED, "function-value"])
def test_no_success_behind_a_wall_before_the_answer(name):
    def hole(x):
        return float(x @ x) if x[0] > 1.5 else math.inf

    method = optimizers.Scipy("nelder-mead") if name == "function-value" else None
    result = invopt.minimize(hole, name, method, x0=[3.0, 1.0], rng=0, maxfev=1500, progress=False)
    assert result.n_nonfinite > 0
    assert math.isfinite(hole(result.x)) or not result.success
    assert hole(result.x) <= 10.0 or not result.success


def assert_honest(result):
    assert math.isfinite(result.fun)
    assert np.abs(result.x - ANSWER).max() < 0.2 or result.status in HONEST


def test_all_but_one_reach_it():
    reached = [minimized(method).fun < 1.01 for method in ONE_POINT.values()]
    assert sum(reached) >= len(reached) - 1


class Given(Objective):
    """Returns what it is given, one call after the other."""

    def __init__(self, *calls):
        self.calls = list(calls)

    def fun(self, x, *, seed, spp=None):
        return torch.tensor(self.calls.pop(0), dtype=torch.float64)


def evaluator(*calls):
    made = CountingEvaluator(Given(*calls), Capability.FUN, torch.ones(1, dtype=torch.float64))
    return made, lambda k, **options: made.fun(
        torch.zeros(k, 1, dtype=torch.float64), seed=np.zeros(k, dtype=np.int64), **options
    ).tolist()


def test_inf_stands_as_the_highest_value_of_the_run():
    made, fun = evaluator([1.0, 7.0, 3.0], [math.inf, 2.0], [9.0, math.inf], [math.inf, math.inf])
    assert fun(3) == [1.0, 7.0, 3.0]
    assert fun(2) == [7.0, 2.0]
    assert fun(2) == [9.0, 9.0]
    assert fun(2) == [9.0, 9.0]
    assert (made.n_nonfinite, made.counts.n_failed) == (4, 0)


def test_inf_is_kept_for_those_who_compare():
    made, fun = evaluator([math.inf], [math.inf, 2.0])
    assert fun(1, keep_inf=True) == [math.inf]
    assert fun(2, keep_inf=True) == [math.inf, 2.0]
    assert made.n_nonfinite == 2


def test_without_any_finite_value_there_is_nothing_to_stand_for_inf():
    _, fun = evaluator([math.inf, math.inf])
    with pytest.raises(NonFiniteError, match="all values so far are inf: start where the objective is finite"):
        fun(2)


def test_minus_inf_is_a_failed_evaluation():
    made, fun = evaluator([-math.inf, 1.0, 2.0], [-math.inf, 1.0, 2.0])
    assert math.isnan(fun(3)[0])
    assert math.isnan(fun(3, keep_inf=True)[0])
    assert (made.n_nonfinite, made.counts.n_failed) == (2, 2)


def test_the_share_that_may_fail_is_without_inf():
    _, fun = evaluator([math.inf] * 9 + [1.0], [math.nan] * 6 + [1.0] * 4)
    assert fun(10) == [1.0] * 10
    with pytest.raises(NonFiniteError, match="6 of 10 values of one call are not finite"):
        fun(10)


def test_inf_among_residuals_is_a_failed_evaluation():
    def residuals(x):
        return np.array([x[0], math.inf if x[0] > 2.2 else x[1]])

    problem = problems.Function(fun=residuals, x0=[2.0, 1.0], residuals=True, sigma=0.3)
    result = invopt.minimize(problem, rng=0, maxfev=100, progress=False)
    assert result.n_nonfinite > 0
    assert np.abs(result.x).max() < 0.1


@pytest.mark.parametrize("method", ["nelder-mead", "powell", "cobyqa"])
def test_a_run_without_any_finite_value_is_no_success(method):
    result = invopt.minimize(
        lambda x: math.inf, "function-value", optimizers.Scipy(method), x0=[1.0, 1.0], rng=0, maxfev=300, ftol=1e-3
    )
    assert not result.success
    assert result.fun == math.inf


@pytest.mark.usefixtures("importable")
def test_the_same_bits_in_workers():
    runs = [
        invopt.minimize(
            functions.walled, "function-value", "portfolio", x0=[2.0, 1.5], rng=0, maxfev=60, workers=workers
        )
        for workers in (1, 2)
    ]
    np.testing.assert_array_equal(runs[0].history.x, runs[1].history.x)
    assert runs[0].n_nonfinite == runs[1].n_nonfinite > 0
