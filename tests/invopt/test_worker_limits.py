"""Time limits in workers: evaluations that hang are ended."""

import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import numpy as np
import psutil
import pytest
import torch

import invopt
from invopt import EvaluationError, Status, estimators, optimizers, problems
from invopt.core.outcome import Chunk, Limits
from invopt.evaluate.workers.open import open_objective

from .evaluators import EVALUATORS, functions, preloaded, solve

pytestmark = pytest.mark.usefixtures("importable", "nothing_is_left_behind")

# A program that runs for ever, as an external simulator may.
PROGRAM = [sys.executable, "-c", f"import time; time.sleep(600)  # of {os.getpid()}"]

# Seconds: longer than any evaluation on a busy machine, unless it hangs.
LIMIT = 3


def hangs_left_of_zero(x):
    if x[0] < 0:
        time.sleep(600)
    return float(np.sum(x**2))


def runs_a_program(x):
    subprocess.run(PROGRAM, check=True)
    return 1.0


def chunks(*firsts):
    return [Chunk(torch.tensor([[first, 1.0]], dtype=torch.float64), np.array([1])) for first in firsts]


@contextmanager
def hanging_executor(kind):
    """An executor of two whose hanging workers are ended afterwards, as nothing else can."""
    if kind == "threads":
        functions.FREED.clear()
        with ThreadPoolExecutor(2) as executor:
            try:
                yield executor, functions.waits_left_of_zero
            finally:
                functions.FREED.set()
        return
    executor = ProcessPoolExecutor(2, mp_context=preloaded())
    try:
        yield executor, hangs_left_of_zero
    finally:
        for process in list(executor._processes.values()):
            process.kill()
        executor.shutdown(wait=True)


@pytest.mark.parametrize("evaluator", ["1", "2", "map", "stdlib", "stdlib map"])
def test_nothing_begins_after_the_deadline(evaluator, tmp_path):
    problem = problems.Function(fun=partial(functions.notes_each_call, folder=tmp_path), x0=[1.0, 2.0])
    with EVALUATORS[evaluator]() as workers:
        began = time.time()
        made = estimators.SharedSamples(n_samples=500)
        result = invopt.minimize(problem, made, rng=0, maxtime=1.0, workers=workers, progress=False)
        ended = time.time()
    assert result.status is Status.MAXTIME
    noted = sorted(int(path.name.split("-")[0]) / 1e9 for path in tmp_path.iterdir())
    # What was under way, or just begun by an executor that knows no deadline, is not counted.
    assert 0 < result.nfev <= len(noted) <= result.nfev + 4
    # The run's clock starts once the workers are open.
    assert began < noted[0] <= noted[-1] < ended
    assert noted[-1] - noted[0] < 2.0


@pytest.mark.parametrize("fun", [functions.slow_forever, runs_a_program])
def test_maxtime_ends_what_hangs_and_the_programs_it_started(fun):
    with open_objective(problems.Function(fun=fun, x0=[1.0, 2.0]), 2) as objective:
        deadline = time.perf_counter() + 0.5
        assert list(objective.evaluate("fun", chunks(1.0, 2.0, 3.0), limits=Limits(deadline=deadline))) == [None] * 3
        assert time.perf_counter() - deadline < 5.0
    result = solve(problems.Function(fun=fun, x0=[1.0, 2.0]), workers=2, maxtime=0.5)
    assert (result.status, result.nfev) == (Status.MAXTIME, 0)
    assert result.seconds < 5.0
    assert not [process for process in psutil.process_iter() if _works(process) and process.cmdline() == PROGRAM]


def _works(process):
    # An orphan that no process waits for stays as a zombie.
    try:
        return process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_maxtime_leaves_what_hangs_in_an_executor_behind(kind):
    with hanging_executor(kind) as (executor, fun):
        problem = problems.Function(fun=fun, x0=[-1.0, 2.0])
        result = invopt.minimize(
            problem, "function-value", optimizers.Scipy("nelder-mead"), rng=0, maxtime=0.5, workers=executor
        )
        assert (result.status, result.nfev) == (Status.MAXTIME, 0)
        assert result.seconds < 5.0


def test_an_evaluation_that_takes_too_long_is_ended_and_its_worker_replaced():
    told = []
    with open_objective(problems.Function(fun=hangs_left_of_zero, x0=[1.0, 1.0]), 2) as objective:
        limits = Limits(timeout=LIMIT)
        for again in (False, True):
            asked = objective.evaluate(
                "fun", chunks(1.0, -1.0, 2.0, 3.0), limits=limits, arrived=lambda i, outcome: told.append(i)
            )
            outcomes = list(asked)
            assert [None if o.values is None else o.values.item() for o in outcomes] == [2.0, None, 5.0, 10.0]
            assert isinstance(outcomes[1].failure, TimeoutError)
            assert "did not end within 'timeout' = 3 s" in str(outcomes[1].failure)
            assert outcomes[1].seconds >= LIMIT
            # What is finished is told of while the other still hangs.
            assert told == [0, 2, 3, 1] or again
            assert len(told) == (8 if again else 4)
    assert {outcome.worker.split(":")[0] for outcome in outcomes} == {socket.gethostname()}


def test_a_timeout_keeps_its_type_where_tblib_changes_how_exceptions_are_pickled():
    # As importing dask.distributed does, for the whole process.
    tblib = pytest.importorskip("tblib.pickling_support")
    tblib.install()
    with open_objective(problems.Function(fun=hangs_left_of_zero, x0=[1.0, 1.0]), 2) as objective:
        (outcome,) = objective.evaluate("fun", chunks(-1.0), limits=Limits(timeout=LIMIT))
    assert type(outcome.failure) is invopt.EvaluationTimeoutError


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_an_executor_is_not_waited_for_longer_than_the_timeout(kind):
    with hanging_executor(kind) as (executor, fun):
        problem = problems.Function(fun=fun, x0=[1.0, 1.0])
        with open_objective(problem, executor) as objective:
            began = time.perf_counter()
            (outcome,) = objective.evaluate("fun", chunks(-1.0), limits=Limits(timeout=LIMIT))
            assert LIMIT <= time.perf_counter() - began < 60
            assert isinstance(outcome.failure, TimeoutError)
            assert "may still be at it" in str(outcome.failure)


def test_a_timeout_is_an_error_or_a_failed_evaluation():
    options = dict(workers=2, timeout=LIMIT)
    problem = problems.Function(fun=hangs_left_of_zero, x0=[0.4, 1.0], sigma=0.4)
    with pytest.raises(invopt.EvaluationTimeoutError, match=r"did not end within 'timeout' = 3 s; .*failures='nan'"):
        solve(problem, **options)
    result = solve(problem, **options, failures="nan", maxfev=13)
    assert result.nfev <= 13
    assert result.n_nonfinite > 0
    failed = f"{result.n_nonfinite} of {result.nfev} evaluations failed, the last: the evaluation did not end"
    assert failed in result.message


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        (dict(timeout=5), invopt.IncompatibleError, r"'timeout' needs 'workers' = 2 or more: .*cannot be ended: 5"),
        (dict(timeout=5, workers=1), invopt.IncompatibleError, "'timeout' needs 'workers' = 2 or more"),
        (dict(timeout=5, workers=map), invopt.IncompatibleError, "'timeout' needs .* or an Executor: .*map-like"),
        (dict(timeout=0, workers=2), ValueError, "'timeout' must be > 0: 0"),
        (dict(timeout=-1.0, workers=2), ValueError, "'timeout' must be > 0: -1.0"),
        (dict(timeout="soon", workers=2), TypeError, "'timeout' must be"),
        (dict(timeout=float("nan"), workers=2), ValueError, "'timeout' must be"),
    ],
    ids=str,
)
def test_bad_timeouts(options, error, said):
    with pytest.raises(error, match=said):
        invopt.minimize(functions.bowl, x0=[1.0], **options)
    with pytest.raises(error, match=said):
        invopt.differentiate(functions.bowl, x=[1.0], **options)


def test_a_session_has_no_timeout():
    with pytest.raises(TypeError, match="'timeout' has no effect in a Session"):
        invopt.Session(x0=[1.0], timeout=5)


def test_replies_are_told_while_an_earlier_evaluation_still_runs():
    def slow_first(x):
        time.sleep(2.0 if x[0] == 0 else 0.0)
        return float(x[0])

    told = []
    with open_objective(problems.Function(fun=slow_first, x0=[1.0, 1.0]), 2) as objective:
        outcomes = objective.evaluate("fun", chunks(0.0, 1.0, 2.0, 3.0), arrived=lambda i, o: told.append(i))
        assert [outcome.values.item() for outcome in outcomes] == [0.0, 1.0, 2.0, 3.0]
    assert told == [1, 2, 3, 0]


def test_an_error_in_being_told_ends_the_call():
    def fails(i, outcome):
        raise OSError("disk full")

    with (
        open_objective(problems.Function(fun=functions.bowl, x0=[1.0, 1.0]), 2) as objective,
        pytest.raises(OSError, match="disk full"),
    ):
        list(objective.evaluate("fun", chunks(0.0, 1.0), arrived=fails))


def test_nothing_is_told_once_the_outcomes_are_closed():
    told = []
    with open_objective(problems.Function(fun=functions.slow, x0=[1.0, 1.0]), 2) as objective:
        outcomes = objective.evaluate("fun", chunks(0.0, 1.0, 2.0), arrived=lambda i, o: told.append(i))
        next(outcomes)
        outcomes.close()
        before = list(told)
        time.sleep(0.3)
        assert told == before


def test_a_program_that_reads_stdin_finds_its_end():
    def reads(x):
        done = subprocess.run(
            [sys.executable, "-c", "import sys; print(len(sys.stdin.read()))"], capture_output=True, check=True
        )
        return float(done.stdout) + len(sys.stdin.read())

    assert solve(problems.Function(fun=reads, x0=[1.0]), workers=2, maxfev=13, maxtime=60).fun == 0.0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_forked_by_fun_does_not_keep_a_dead_worker_alive(tmp_path):
    def forks_and_dies(x):
        marker = tmp_path / "pid"
        if marker.exists():
            return functions.bowl(x)
        pid = os.fork()
        if pid == 0:
            time.sleep(600)
        marker.write_text(str(pid))
        os._exit(3)

    result = solve(problems.Function(fun=forks_and_dies, x0=[1.0]), workers=2, maxfev=13, maxtime=60)
    assert result.nfev == 13
    forked = int((tmp_path / "pid").read_text())
    assert not psutil.pid_exists(forked) or not _works(psutil.Process(forked))


def test_an_evaluation_that_dies_again_and_again_counts_as_failed():
    problem = problems.Function(fun=functions.dies_left_of_zero, x0=[0.5, 1.0], sigma=0.25)
    with pytest.raises(EvaluationError, match="died .*failures='nan'"):
        solve(problem, workers=2)
    result = solve(problem, workers=2, failures="nan", maxfev=13)
    assert 0 < result.n_nonfinite < result.nfev == 13
    assert "died (exit code 3)" in result.message
