"""Resumed runs evaluate nothing twice and give the bits of an uninterrupted run."""

import numpy as np
import pytest
from attrs import frozen

import invopt
from invopt import Journal, Status, estimators, optimizers, problems
from invopt.core.registry import names

VALUES = [
    optimizers.CMAES(),
    optimizers.DifferentialEvolution(),
    optimizers.AdaptiveBFGS(),
    *(optimizers.Scipy(name) for name in ("nelder-mead", "powell", "cobyqa", "cobyla")),
]
DERIVATIVES = [
    (estimators.SharedSamples(), optimizers.NewtonCG()),
    (estimators.AggregateHVP(), optimizers.FletcherReevesCG()),
    (estimators.AggregateHessian(), optimizers.Newton()),
    (estimators.SmoothedHessian(), optimizers.Newton()),
    (estimators.SmoothedHVP(), optimizers.NewtonCG()),
    (estimators.SmoothedGradient(), optimizers.Adam()),
    (estimators.FR22(), optimizers.Adam()),
    (estimators.SPSA(), optimizers.GradientDescent()),
    (estimators.FiniteDifference(), optimizers.BFGS()),
    (estimators.FiniteDifference(), optimizers.LBFGS()),
    (estimators.FiniteDifference(), optimizers.DampedBFGS()),
    (estimators.FiniteDifference(), optimizers.Scipy("trust-exact")),
    (estimators.FiniteDifference(), optimizers.Scipy("l-bfgs-b")),
    (estimators.SharedSamples(), optimizers.Newton()),
]
PAIRS = [(estimators.FunctionValue(), method) for method in VALUES] + DERIVATIVES


class Noisy:
    """Values whose noise is the seed's; counts its calls in a file, which the content of the function does not hold."""

    def __init__(self, path):
        self.path = str(path)

    def __call__(self, x, seed):
        with open(self.path, "a") as file:
            file.write(f"{x.tobytes().hex()} {seed}\n")
        noise = 0.01 * np.random.default_rng(seed).standard_normal()
        return float(5 * x[0] ** 2 + 5 * x[1] ** 2 + 7.5 * x[0] * x[1] + noise)

    @property
    def calls(self):
        with open(self.path) as file:
            return file.read().splitlines()


def same(first, second):
    assert np.array_equal(first.x, second.x)
    assert first.fun == second.fun
    assert first.status is second.status
    assert first.nfev == second.nfev
    for column in ("x", "fun", "step", "sigma", "nfev"):
        assert np.array_equal(first.history[column], second.history[column], equal_nan=True)


@pytest.mark.parametrize(("estimator", "method"), PAIRS, ids=lambda part: repr(part).partition("(")[0])
def test_every_pairing_goes_on_to_the_same_bits_and_evaluates_nothing_twice(estimator, method, tmp_path):
    noisy = Noisy(tmp_path / "calls")
    problem = problems.Function(fun=noisy, x0=[2.0, -1.0], seeded=True)
    options = {"rng": 3, "gtol": 0.0, "xtol": 0.0}
    whole = invopt.minimize(problem, estimator, method, maxiter=12, **options)
    calls = noisy.calls
    (tmp_path / "calls").unlink()
    for maxiter in (4, 7, 12, 12):
        rest = invopt.minimize(problem, estimator, method, maxiter=maxiter, journal=tmp_path / "run", **options)
    same(whole, rest)
    # The answers of interrupted runs were measured too; all other evaluations were made once.
    assert set(calls) <= set(noisy.calls)
    purposes = Journal(tmp_path / "run").evaluations().purpose
    assert len(noisy.calls) == len(purposes)
    assert len(set(noisy.calls)) == len(set(calls)) + len(set(noisy.calls) - set(calls))
    assert rest.n_replayed == len(calls)


@pytest.mark.parametrize("name", ["mug", "shadow"])
@pytest.mark.render
def test_rendered_tasks_go_on_to_the_same_bits(name, tmp_path):
    problem = names("problems")[name](size="tiny")
    whole = invopt.minimize(problem, rng=1, maxfev=60)
    first = invopt.minimize(problem, rng=1, maxfev=25, journal=tmp_path / "run")
    rest = invopt.minimize(problem, rng=1, maxfev=60, journal=tmp_path / "run")
    same(whole, rest)
    assert first.n_replayed == 0
    assert rest.n_replayed >= len(first.history)
    assert np.array_equal(whole.x_standard_error, rest.x_standard_error)


@pytest.mark.parametrize("cut", [3, 8, 21, 40])
def test_residuals_keep_their_bits(cut, tmp_path):
    """Of 60 residuals a sum over unaligned memory differed in its last bits."""
    t = np.linspace(0, 1, 60)

    def residuals(x, seed):
        return x[0] * np.exp(-x[1] * t) - 2 * np.exp(-t / 2) + 0.01 * np.random.default_rng(seed).standard_normal(60)

    problem = problems.Function(fun=residuals, x0=[1.0, 1.5], sigma=0.5, residuals=True, seeded=True)
    whole = invopt.minimize(problem, rng=0, maxfev=400)
    invopt.minimize(problem, rng=0, maxiter=cut, maxfev=400, journal=tmp_path / "run")
    same(whole, invopt.minimize(problem, rng=0, maxfev=400, journal=tmp_path / "run"))


@frozen(kw_only=True)
class Walk(optimizers.Adam):
    """A method of somebody else's, that draws and keeps what no file could hold."""

    def init(self, x0):
        return iter(range(10**6))

    def step(self, x, estimate, state, oracle):
        k = next(state)
        step = 0.3 / (k + 1) * oracle.rng.standard_normal(len(x))
        step = type(x)(step) if False else x.new_tensor(step)
        return (x + step if oracle.value(x + step) < estimate.fun else x), state


def test_third_party_parts_go_on_too(tmp_path):
    noisy = Noisy(tmp_path / "calls")
    problem = problems.Function(fun=noisy, x0=[2.0, -1.0], seeded=True)
    options = {"rng": 0, "gtol": 0.0, "xtol": 0.0}
    whole = invopt.minimize(problem, "spsa", Walk(), maxiter=9, **options)
    invopt.minimize(problem, "spsa", Walk(), maxiter=5, journal=tmp_path / "run", **options)
    same(whole, invopt.minimize(problem, "spsa", Walk(), maxiter=9, journal=tmp_path / "run", **options))


def test_a_finished_run_is_told_again_without_any_evaluation(tmp_path):
    noisy = Noisy(tmp_path / "calls")
    problem = problems.Function(fun=noisy, x0=[2.0, -1.0], seeded=True)
    first = invopt.minimize(problem, rng=0, maxfev=300, journal=tmp_path / "run")
    count = len(noisy.calls)
    again = invopt.minimize(problem, rng=0, maxfev=300, journal=tmp_path / "run")
    same(first, again)
    assert len(noisy.calls) == count == again.n_replayed
    assert len(Journal(tmp_path / "run").runs) == 1


def test_a_larger_budget_keeps_the_estimator_that_was_chosen(tmp_path):
    """Chosen for 17 evaluations, it needs none for a simplex, which Kriging would use most of them for."""
    slope = np.random.default_rng(0).standard_normal((40, 8))

    def residuals(x):
        return slope @ x - 1

    problem = problems.Function(fun=residuals, x0=np.zeros(8), residuals=True)
    first = invopt.minimize(problem, rng=0, maxfev=17, gtol=0, xtol=0, journal=tmp_path / "run")
    rest = invopt.minimize(problem, rng=0, maxfev=4000, gtol=0, xtol=0, maxiter=12, journal=tmp_path / "run")
    assert first.choice == rest.choice
    assert rest.n_replayed > 8
    assert invopt.minimize(problem, rng=0, maxfev=4000, maxiter=1).choice != first.choice


def test_without_an_rng_a_run_goes_on_with_its_own(tmp_path):
    first = invopt.minimize("quad", "fr22", maxiter=3, journal=tmp_path / "run")
    rest = invopt.minimize("quad", "fr22", maxiter=6, journal=tmp_path / "run")
    assert np.array_equal(first.history.x, rest.history.x[:4])
    other = invopt.minimize("quad", "fr22", rng=5, maxiter=3, journal=tmp_path / "run")
    assert other.n_replayed == 0
    assert len(Journal(tmp_path / "run").runs) == 2


def test_a_function_with_a_state_goes_on_in_its_own_process(tmp_path):
    """It counts its calls in a list, which is part of its content."""
    calls = []

    def counted(x):
        calls.append(1)
        return float(x @ x)

    invopt.minimize(counted, "fr22", x0=[1.0, 2.0], rng=0, maxiter=3, journal=tmp_path / "run")
    count = len(calls)
    again = invopt.minimize(counted, "fr22", x0=[1.0, 2.0], rng=0, maxiter=3, journal=tmp_path / "run")
    assert len(calls) == count
    assert again.n_replayed == count


def test_maxtime_ends_it_where_it_ended_it(tmp_path):
    def slow(x):
        import time

        time.sleep(0.02)
        return float(x @ x)

    options = {"x0": [3.0, 2.0], "rng": 0, "journal": tmp_path / "run"}
    first = invopt.minimize(slow, "fr22", maxtime=0.5, **options)
    again = invopt.minimize(slow, "fr22", maxtime=0.5, **options)
    assert first.status is again.status is Status.MAXTIME
    assert len(first.history) == len(again.history)
    assert again.n_replayed == again.nfev == first.nfev
    more = invopt.minimize(slow, "fr22", maxtime=1.0, **options)
    assert len(more.history) > len(first.history)
    assert more.seconds >= 0.8
