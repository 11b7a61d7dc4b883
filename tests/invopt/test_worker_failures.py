"""Failures in workers: exceptions, deaths, interruptions; no process is left."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial

import psutil
import pytest

import invopt
from invopt import EvaluationError, Status, problems

from .evaluators import (
    EVALUATORS,
    FUNCTIONS,
    assert_same_bits,
    functions,
    solve,
    stdlib_pool,
    workers_of_ours,
)

pytestmark = pytest.mark.usefixtures("importable", "nothing_is_left_behind")


@pytest.mark.parametrize("workers", [2, map])
def test_values_that_are_not_finite(workers):
    with pytest.raises(invopt.NonFiniteError) as caught:
        solve(problems.Function(fun=functions.nothing_but_nan, x0=[1.0]), workers=workers)
    assert caught.value.result.status is Status.NONFINITE


@pytest.mark.parametrize("evaluator", ["1", "2", "map", "loky"])
def test_an_exception_says_what_and_where_and_loses_nothing(evaluator):
    problem = problems.Function(fun=partial(functions.fails_left_of, edge=1.5), x0=[3.0, 1.0], sigma=0.3)
    with pytest.raises(EvaluationError) as alone:
        solve(problem)
    with EVALUATORS[evaluator]() as workers, pytest.raises(EvaluationError, match="raised ZeroDivisionError") as caught:
        solve(problem, workers=workers)
    assert str(caught.value) == str(alone.value)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert caught.value.result.nfev == alone.value.result.nfev > 0
    assert caught.value.result.status is Status.ERROR
    if evaluator != "1":
        assert "fails_left_of" in caught.value.__cause__.__notes__[0]


@pytest.mark.parametrize(
    ("fun", "said"),
    [
        (functions.raises_own, "raised OwnError: 1 and 2; after 0 evaluations, at x = "),
        (functions.raises_unlike_any, "raised LocalError: made here"),
        (functions.dies, r"died \(exit code 3\) after one restart; .*; after 0 evaluations, at x = "),
    ],
)
def test_exceptions_that_cannot_travel_and_workers_that_die(fun, said):
    with pytest.raises(EvaluationError, match=said) as caught:
        solve(problems.Function(fun=fun, x0=[1.0, 2.0]), workers=2)
    assert caught.value.result.nfev == 0
    assert caught.value.result.status is Status.ERROR


def test_a_worker_that_dies_once_is_replaced(tmp_path, caplog):
    problem = problems.Function(fun=functions.once(tmp_path), x0=[1.0, 2.0, 3.0])
    shared = solve(problem, workers=2)
    assert "a worker process died (exit code 3); it is restarted and its work is repeated" in caplog.text
    assert_same_bits(shared, solve(problems.Function(fun=functions.bowl, x0=[1.0, 2.0, 3.0])))


def test_a_worker_killed_between_calls_is_replaced(caplog):
    killed = []

    def kill(*, intermediate_result):
        if not killed:
            killed.append(workers_of_ours()[0])
            killed[0].kill()
            psutil.wait_procs(killed, timeout=30)

    result = solve(problems.Function(**FUNCTIONS["seeded"]), workers=2, callback=kill)
    assert "killed by signal 9" in caplog.text
    assert_same_bits(result, solve(problems.Function(**FUNCTIONS["seeded"])))


def test_workers_at_work_end_with_their_parent(tmp_path):
    code = f"""if True:
        import functools, pathlib, invopt, workers_functions
        fun = functools.partial(workers_functions.stuck_with_note, folder=pathlib.Path({str(tmp_path)!r}))
        invopt.minimize(fun, x0=[1.0, 2.0], rng=0, workers=2, progress=False)
    """
    parent = subprocess.Popen([sys.executable, "-c", code], env=os.environ)
    while not list(tmp_path.iterdir()):
        assert parent.poll() is None
        time.sleep(0.05)
    workers = psutil.Process(parent.pid).children(recursive=True)
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(workers, timeout=30)
    for worker in alive:
        worker.kill()
    # And the process that they were forked from.
    assert len(workers) in (2, 3)
    assert alive == []


def test_an_executor_whose_worker_dies():
    with stdlib_pool() as executor, pytest.raises(EvaluationError, match="executor in 'workers' .* at x = ") as caught:
        solve(problems.Function(fun=functions.dies, x0=[1.0]), workers=executor)
    assert caught.value.result.status is Status.ERROR


def test_an_executor_that_is_shut_down():
    with ThreadPoolExecutor(1) as executor:
        pass
    with pytest.raises(EvaluationError, match="takes no more: cannot schedule new futures after shutdown"):
        solve(problems.Function(fun=functions.bowl, x0=[1.0]), workers=executor)


def test_a_callback_that_raises_ends_the_workers():
    def fails(*, intermediate_result):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        solve(problems.Function(fun=functions.bowl, x0=[1.0]), workers=2, callback=fails)


def test_ctrl_c_returns_what_there_is_and_leaves_no_process():
    # Sent to the process, as a terminal does: only then does it wake the main thread. Once workers are at work, and
    # while the main thread waits for them.
    interrupt = threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGINT])

    def start_once(*, intermediate_result):
        if intermediate_result.nit == 1:
            interrupt.start()

    problem = problems.Function(fun=functions.slow, x0=[1.0, 2.0])
    result = solve(problem, maxfev=None, maxiter=10**6, gtol=0, xtol=0, workers=2, callback=start_once)
    interrupt.join()
    assert result.status is Status.INTERRUPTED
    assert result.nfev > 0


@pytest.mark.skipif(sys.platform == "win32", reason="groups are another thing there")
def test_ctrl_c_in_a_terminal_reaches_the_whole_group(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import invopt, workers_functions

        def note(*, intermediate_result):
            print(intermediate_result.nfev, flush=True)

        options = dict(x0=[1.0, 2.0], rng=0, maxiter=10**6, gtol=0, xtol=0, callback=note, progress=False)
        result = invopt.minimize(workers_functions.slow, **options, workers=2)
        print(result.status.name)
        """)
    )
    run = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ,
    )
    first = run.stdout.readline()
    os.killpg(run.pid, signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert first.strip().isdigit()
    assert out.splitlines()[-1] == "INTERRUPTED"
    assert err == ""
    assert run.returncode == 0


def test_a_problem_that_does_not_open():
    with pytest.raises(ModuleNotFoundError, match="no such module here"):
        solve(problems.Function(fun=functions.OnlyHere(), x0=[1.0]), workers=2)


@pytest.mark.render
def test_a_fork_of_a_process_that_renders_is_refused(program):
    code = textwrap.dedent("""
        import multiprocessing, warnings
        from concurrent.futures import ProcessPoolExecutor
        import invopt
        warnings.simplefilter("ignore")
        if __name__ == "__main__":
            with invopt.problems.Mug(size="tiny").open():
                pass
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as executor:
                try:
                    invopt.minimize(invopt.problems.Mug(size="tiny"), maxfev=10, workers=executor)
                except invopt.BackendError as error:
                    print(error)
    """)
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    done = program(code, check=True)
    assert "forked from one that renders cannot render" in done.stdout


def test_futures_called_off_by_others():
    class CalledOff(Executor):
        def submit(self, fn, /, *args, **kwargs):
            future = Future()
            future.cancel()
            return future

    with pytest.raises(EvaluationError, match="executor in 'workers' failed: CancelledError"):
        solve(problems.Function(fun=functions.bowl, x0=[1.0]), workers=CalledOff())


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("where", ["fun", "callback"])
def test_sys_exit_passes_through_with_the_result(workers, where):
    def fun(x):
        if where == "fun" and x[0] < 0:
            sys.exit("enough")
        return float(x @ x)

    def callback(*, intermediate_result):
        if where == "callback" and intermediate_result.nit == 1:
            sys.exit("enough")

    with pytest.raises(SystemExit, match="enough") as caught:
        solve(problems.Function(fun=fun, x0=[2.0, 1.0], sigma=0.5), workers=workers, callback=callback)
    assert caught.value.code == "enough"
    assert caught.value.result.nfev > 0
    assert workers_of_ours() == []


def test_a_keyboard_interrupt_of_a_worker_is_one_of_the_run():
    def fun(x):
        if x[0] < 2.0:
            raise KeyboardInterrupt
        return float(x @ x)

    result = solve(problems.Function(fun=fun, x0=[3.0, 1.0], sigma=0.2), workers=2)
    assert result.status is Status.INTERRUPTED
    assert result.nfev > 0
