"""Trainings resumed from a checkpoint give the bits of an uninterrupted one."""

import signal
import textwrap
import time

import numpy as np
import pytest
import torch
from attrs import frozen

import invopt
from invopt import Checkpoint, Journal, estimators, optimizers, problems
from invopt.exceptions import CheckpointError

from .trainings import train, training


@pytest.mark.parametrize(("batch_size", "method"), [(3, optimizers.Adam()), (8, optimizers.LBFGS())], ids=["3", "8"])
def test_resumed_networks_have_the_same_bits(batch_size, method, tmp_path):
    inputs = np.random.default_rng(0).uniform(-1, 1, (8, 2))
    torch.manual_seed(0)
    problem = problems.GreyBox(torch.nn.Linear(2, 2), problems.Quadratic(), inputs, batch_size=batch_size)
    estimator = estimators.FiniteDifference()
    whole = invopt.minimize(problem, estimator, method, rng=3, maxiter=9, gtol=0.0, xtol=0.0)
    for maxiter in (4, 5, 9):
        rest = invopt.minimize(
            problem, estimator, method, rng=3, maxiter=maxiter, gtol=0.0, xtol=0.0, checkpoint=tmp_path / "run"
        )
    assert whole.nit == 9
    assert np.array_equal(whole.x, rest.x)
    assert np.array_equal(whole.history.fun, rest.history.fun)
    assert whole.nfev == rest.nfev


@pytest.mark.parametrize("cut", [3, 6, 9, 12])
def test_resumed_targets_have_the_same_bits(cut, tmp_path):
    """Interrupted in the first descent, at rest, in the second descent, and after it."""
    exact = estimators.FiniteDifference(abs_step=0.1)
    target = estimators.NewtonTarget(estimator=exact, steps=4, restarts=1, rest=3)
    inner = problems.Function(fun=lambda x: float((x[0] ** 2 - 1) ** 2 + x[1] ** 2), x0=[0.0, 0.0])
    model = torch.nn.Linear(3, 2, dtype=torch.float64)
    problem = problems.GreyBox(model, inner, np.random.default_rng(0).standard_normal((4, 3)))

    def run(**options):
        return invopt.minimize(problem, target, optimizers.Adam(lr=0.1), rng=0, progress=False, **options)

    run(maxiter=cut, checkpoint=tmp_path / "cut")
    resumed, whole = run(maxiter=14, checkpoint=tmp_path / "cut"), run(maxiter=14)
    assert (resumed.x == whole.x).all()
    assert resumed.nfev == whole.nfev


def test_other_data_are_refused(tmp_path):
    inner = problems.Function(fun=lambda x: float(x @ x), x0=[0.0, 0.0])
    inputs = np.random.default_rng(0).standard_normal((4, 3))
    model = torch.nn.Linear(3, 2, dtype=torch.float64)

    def run(data, maxiter):
        problem = problems.GreyBox(model, inner, data)
        path = tmp_path / "kept"
        return invopt.minimize(problem, "fr22", "adam", rng=0, maxiter=maxiter, checkpoint=path, progress=False)

    run(inputs, 2)
    with pytest.raises(CheckpointError, match="is of another data"):
        run(inputs[::-1], 4)
    assert run(inputs, 4).nit == 4


def test_written_when_due_and_at_the_end(tmp_path):
    path, seen = tmp_path / "deep" / "run", []

    def look(*, intermediate_result):
        seen.append(path.exists())

    train(Checkpoint(path, every=3), 6, callback=look)
    assert seen == [False, False, False, True, True, True, True]
    assert [file.name for file in path.parent.iterdir()] == ["run"]


def test_written_by_time(tmp_path):
    path, seen = tmp_path / "run", []

    def look(*, intermediate_result):
        seen.append(path.exists())

    train(Checkpoint(path, seconds=0), 2, callback=look)
    assert seen == [False, True, True]


def test_seconds_are_those_of_all_calls_together(tmp_path):
    def wait(*, intermediate_result):
        time.sleep(0.1)

    path = tmp_path / "run"
    before, after = train(path, 5, callback=wait), train(path, 7)
    assert after.seconds > before.history["seconds"][-1] > 0.5
    assert (np.diff(after.history["seconds"]) >= 0).all()


def test_an_error_keeps_the_run(tmp_path):
    path = tmp_path / "run"

    def fail(*, intermediate_result):
        if intermediate_result.nit == 4:
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        train(path, 9, callback=fail)
    rest = train(path, 9, rng=None)
    assert np.array_equal(rest.x, train(None, 9).x)


def test_the_start_of_a_network_counts_only_where_it_is_given(tmp_path):
    first = train(tmp_path / "run", 3)
    # A network built again without a seed has another start; the run is resumed nevertheless.
    rest = train(tmp_path / "run", 6, training(seed=1))
    assert np.array_equal(rest.history.fun[:4], first.history.fun)
    problem = training()
    with pytest.raises(CheckpointError, match="of another start"):
        train(tmp_path / "run", 9, x0=problem.x0 + 1.0)


@frozen(kw_only=True)
class Other(estimators.FR22):
    """An estimator defined by the user."""

    def cost(self, n):
        return 2 * self.n_samples


class ShiftedTanh(torch.nn.Tanh):
    def forward(self, x):
        return super().forward(x) + 0.1


def another_forward():
    problem = training()
    layers = list(problem.model)
    return problems.GreyBox(
        torch.nn.Sequential(layers[0], ShiftedTanh(), layers[2]),
        problems.Quadratic(),
        problem.data.inputs,
        batch_size=3,
    )


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"problem": training(batch_size=4)}, "data"),
        ({"problem": another_forward()}, "network"),
        ({"estimator": "spsa"}, "estimator"),
        ({"estimator": Other()}, "estimator"),
        ({"method": "gradient-descent"}, "method"),
        ({"method": optimizers.Adam(lr=0.5)}, "method"),
        ({"rng": 4}, "rng"),
        ({"x_scale": np.full(training().n, 2.0)}, "x_scale"),
        ({"bounds": [(-50.0, 50.0)] * training().n}, "bounds"),
        ({"identity": "mine"}, "problem"),
    ],
    ids=lambda item: item if isinstance(item, str) else next(iter(item)),
)
def test_another_run_is_refused(change, what, tmp_path):
    train(tmp_path / "run", 3)
    with pytest.raises(CheckpointError, match=f"of another {what}"):
        train(tmp_path / "run", 5, **change)


def test_a_module_that_cannot_be_told_is_refused_unless_it_is_named(tmp_path):
    class Counting(torch.nn.Tanh):
        def __init__(self):
            super().__init__()
            self.steps = (i for i in range(3))

        def __deepcopy__(self, memo):
            return self

    problem = problems.GreyBox(
        torch.nn.Sequential(torch.nn.Linear(2, 2), Counting()), problems.Quadratic(), np.ones((3, 2))
    )
    with pytest.raises(invopt.IdentityError, match="generator"):
        train(tmp_path / "run", 2, problem)
    assert train(tmp_path / "run", 2, problem, identity="counting").nit == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_training_with_its_result_and_its_file(number, tmp_path, program):
    code = """
    import os, signal, sys
    from tests.snapshots.trainings import train

    def stop(*, intermediate_result):
        if intermediate_result.nit == 5:
            os.kill(os.getpid(), int(sys.argv[2]))

    print(train(sys.argv[1], 100, callback=stop).status.name)
    """
    done = program(textwrap.dedent(code), str(tmp_path / "run"), str(int(number)))
    assert done.stdout.split() == ["INTERRUPTED"], done.stderr
    assert train(tmp_path / "run", 9).nit == 9
    assert np.array_equal(train(tmp_path / "run", 9).x, train(None, 9).x)


def test_any_other_problem_is_kept_in_a_journal(tmp_path):
    """Also a method whose state no snapshot can hold."""
    first = invopt.minimize(
        "quad", "finite-difference", optimizers.Scipy("bfgs"), maxiter=3, rng=0, checkpoint=tmp_path / "run"
    )
    assert len(Journal(tmp_path / "run").evaluations()) == first.nfev
