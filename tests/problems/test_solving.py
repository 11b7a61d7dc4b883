"""QUAD and BOX2 from ten random starts each (seeds 0-9; settings were chosen on seeds from 1000 up)."""

import numpy as np
import pytest

import invopt
from invopt import Exponential, estimators, optimizers, problems
from invopt.bench.results.measures import evaluations_to

SEEDS = range(10)

# Steps are at most about a sigma long, so the width may only shrink as fast as the method travels.
SLOW = Exponential(factor=0.99)

QUAD = {
    "FiniteDifference + BFGS": (estimators.FiniteDifference(), optimizers.BFGS(), 500),
    "FiniteDifference + LBFGS": (estimators.FiniteDifference(), optimizers.LBFGS(), 500),
    "FiniteDifference + DampedBFGS": (estimators.FiniteDifference(), optimizers.DampedBFGS(), 500),
    "FiniteDifference + Newton": (estimators.FiniteDifference(), optimizers.Newton(), 500),
    "FiniteDifference + Scipy(cg)": (estimators.FiniteDifference(), optimizers.Scipy("cg"), 500),
    "FunctionValue + AdaptiveBFGS": (estimators.FunctionValue(), optimizers.AdaptiveBFGS(), 1_000),
    "FR22 + Adam": (estimators.FR22(sigma=SLOW), optimizers.Adam(), 3_000),
    "SPSA + Adam": (estimators.SPSA(sigma=SLOW), optimizers.Adam(), 3_000),
    "SmoothedGradient + Adam": (estimators.SmoothedGradient(sigma=SLOW), optimizers.Adam(), 3_000),
    "AggregateGradient + Adam": (estimators.AggregateGradient(sigma=SLOW), optimizers.Adam(), 3_000),
    "AggregateGradient + GradientDescent": (
        estimators.AggregateGradient(sigma=SLOW),
        optimizers.GradientDescent(),
        3_000,
    ),
    "SmoothedHessian + FletcherReevesCG": (
        estimators.SmoothedHessian(n_samples=64),
        optimizers.FletcherReevesCG(),
        40_000,
    ),
    "AggregateHessian + Newton": (estimators.AggregateHessian(n_samples=64), optimizers.Newton(), 40_000),
    "SmoothedHVP + FletcherReevesCG": (estimators.SmoothedHVP(), optimizers.FletcherReevesCG(), 3_000),
    "AggregateHVP + FletcherReevesCG": (
        estimators.AggregateHVP(n_samples=4, sigma=Exponential(factor=0.95)),
        optimizers.FletcherReevesCG(),
        3_000,
    ),
    "SharedSamples + NewtonCG": (estimators.SharedSamples(n_samples=8), optimizers.NewtonCG(), 3_000),
}

BOX2 = {
    "FR22 + Adam": (estimators.FR22(sigma=SLOW), optimizers.Adam(), 1_500),
    "AggregateHVP + FletcherReevesCG": (estimators.AggregateHVP(n_samples=4), optimizers.FletcherReevesCG(), 1_000),
    "SharedSamples + NewtonCG": (
        estimators.SharedSamples(n_samples=6, sigma=Exponential(factor=0.85)),
        optimizers.NewtonCG(),
        600,
    ),
}


def solve(problem, estimator, method, maxfev, fraction, seeds=SEEDS):
    """Evaluations to a fraction of the starting parameter error, from each start; failures are infinite.

    A run goes on until its error is a tenth of that: an error that grows again is seen.
    """
    spent = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        x0 = problem.starts(rng, 1)[0]
        stop = Stop(problem, fraction / 10 * problem.parameter_error(x0))
        options = {"x0": x0, "rng": rng, "maxfev": maxfev, "callback": stop, "progress": False}
        spent.append(evaluations_to(invopt.minimize(problem, estimator, method, **options), fraction))
    return np.array(spent)


class Stop:
    """Ends a run at this parameter error."""

    def __init__(self, problem, error):
        self.problem, self.error = problem, error

    def __call__(self, intermediate_result):
        if self.problem.parameter_error(intermediate_result.x) <= self.error:
            raise StopIteration


def show(capsys, task, name, spent):
    quartiles = np.quantile(spent, [0.25, 0.75], method="nearest")
    solved = int(np.isfinite(spent).sum())
    with capsys.disabled():
        print(
            f"\n{task:6s}{name:37s} solved {solved}/{len(spent)}, evaluations: median {np.median(spent):g}, "
            f"quartiles {quartiles[0]:g} {quartiles[1]:g}",
            end="",
        )
    return solved


@pytest.mark.parametrize("name", QUAD)
def test_quad_to_a_thousandth_from_every_start(name, capsys):
    spent = solve(problems.Quadratic(), *QUAD[name], fraction=1e-3)
    assert show(capsys, "QUAD", name, spent) == len(SEEDS)


@pytest.mark.parametrize("name", BOX2)
def test_box2_to_a_hundredth_without_overlap_at_the_start(name, capsys):
    spent = solve(problems.Box2(resolution=100), *BOX2[name], fraction=1e-2)
    assert show(capsys, "BOX2", name, spent) >= 8
    if name == "SharedSamples + NewtonCG":
        assert np.median(spent) < 150


AUTO = {
    "QUAD": (problems.Quadratic(), 100, 10, 14),
    "BOX2": (problems.Box2(resolution=100), 200, 10, 70),
    # Five boxes from one heap: every third descent puts two of them into one place, and the next begins anew.
    "BOX10": (problems.Box10(resolution=40), 2_400, 8, 1_200),
}


@pytest.mark.parametrize("task", AUTO)
def test_without_any_parts_named(task, capsys):
    problem, maxfev, n, most = AUTO[task]
    spent = solve(problem, None, None, maxfev, fraction=1e-2, seeds=range(n))
    assert show(capsys, task, "auto", spent) >= n - 1
    assert np.median(spent) <= most
