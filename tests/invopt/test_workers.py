"""Evaluations shared out: the same bits whoever evaluates, budgets kept, deaths survived, nothing left behind."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
import scipy.optimize
import torch
from typer.testing import CliRunner

import invopt
from invopt import EvaluationError, Status, estimators, optimizers, problems
from invopt._outcome import Chunk
from invopt._workers import open_objective
from invopt.cli import app
from invopt.rendering import backend

HERE = str(Path(__file__).parent)
with pytest.MonkeyPatch.context() as patch:
    # Importable here as in any worker, under one name.
    patch.syspath_prepend(HERE)
    import workers_functions as functions


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setenv("PYTHONPATH", HERE, prepend=os.pathsep)


@pytest.fixture(autouse=True)
def _nothing_is_left_behind():
    before = set(_children())
    yield
    assert set(_children()) <= before
    # Not all threads: dask's client leaves some of its own running.
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("invopt")]


def _children():
    kept = ("resource_tracker", "forkserver")
    return [c for c in psutil.Process().children(recursive=True) if not any(k in " ".join(c.cmdline()) for k in kept)]


# Who evaluates


@contextmanager
def stdlib_pool():
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


@contextmanager
def stdlib_map():
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        yield pool.map
        pool.close()
        pool.join()


@contextmanager
def loky_pool():
    loky = pytest.importorskip("loky", reason="loky is not installed: pip install invopt[dask]")
    executor = loky.ProcessPoolExecutor(2)
    yield executor
    executor.shutdown(wait=True, kill_workers=True)
    loky.backend.resource_tracker._resource_tracker._stop()


@contextmanager
def dask_cluster():
    distributed = pytest.importorskip("distributed", reason="dask is not installed: pip install invopt[dask]")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = dict(n_workers=2, threads_per_worker=2, processes=True, dashboard_address=None)
        with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
            yield client.get_executor()


@contextmanager
def threads_here():
    with ThreadPoolExecutor(3) as executor:
        yield executor


@contextmanager
def value(workers):
    yield workers


EVALUATORS = {
    "1": partial(value, 1),
    "2": partial(value, 2),
    "3": partial(value, 3),
    "map": partial(value, map),
    "threads": threads_here,
    "stdlib": stdlib_pool,
    "stdlib map": stdlib_map,
    "loky": loky_pool,
    "dask": dask_cluster,
}

FUNCTIONS = {
    "one by one": dict(fun=functions.bowl, x0=[1.0, 2.0, 3.0]),
    "seeded": dict(fun=functions.noisy, x0=[1.0, 2.0, 3.0], seeded=True),
    "vectorized": dict(fun=functions.batched, x0=np.ones(7), vectorized=True, chunk_size=5),
}


def _solve(problem, **options):
    made = estimators.SharedSamples(n_samples=6)
    return invopt.minimize(problem, made, rng=3, progress=False, **({"maxfev": 130} | options))


def _assert_same_bits(result, expected):
    for name in ("x", "fun", "step", "nfev", "standard_error"):
        np.testing.assert_array_equal(result.history[name], expected.history[name], err_msg=name)
    assert (result.status, result.nfev) == (expected.status, expected.nfev)
    np.testing.assert_array_equal(result.x, expected.x)


@pytest.fixture(scope="module")
def expected():
    """What this process finds by itself."""
    found = {name: _solve(problems.Function(**options)) for name, options in FUNCTIONS.items()}
    return found | {"box10": _solve(problems.Box10(), maxfev=60)}


@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_the_same_bits_whoever_evaluates(evaluator, expected):
    with EVALUATORS[evaluator]() as workers:
        # Each run starts processes of its own, which takes seconds; once for all three is enough.
        for name in FUNCTIONS if evaluator != "3" else ["vectorized"]:
            _assert_same_bits(_solve(problems.Function(**FUNCTIONS[name]), workers=workers), expected[name])
        _assert_same_bits(_solve(problems.Box10(), maxfev=60, workers=workers), expected["box10"])


@pytest.mark.render
def test_the_same_bits_of_pictures_and_of_residuals(tmp_path):
    problem = problems.Mug(size="tiny")
    alone, shared = _solve(problem, maxfev=40), _solve(problem, maxfev=40, workers=2)
    _assert_same_bits(shared, alone)
    x, seed = torch.linspace(1.0, 3.0, 5, dtype=torch.float64)[:, None], np.arange(5)
    with problem.open() as here, open_objective(problem, 2) as there:
        chunks = [Chunk(x[i : i + 1], seed[i : i + 1]) for i in range(5)]
        rows = torch.cat([outcome.values for outcome in there.evaluate("residuals", chunks, spp=2)])
        assert torch.equal(rows, here.residuals(x, seed=seed, spp=2))
        assert torch.equal(there.residuals(x[:1], seed=seed[:1]), here.residuals(x[:1], seed=seed[:1]))
        np.testing.assert_array_equal(there.image(x[0].numpy()), here.image(x[0].numpy()))
        np.testing.assert_array_equal(there.reference, here.reference)


def test_derivatives_through_workers():
    assert_equal = partial(np.testing.assert_array_equal)
    alone = invopt.differentiate("quad", estimators.FiniteDifference())
    shared = invopt.differentiate("quad", estimators.FiniteDifference(), workers=2)
    assert_equal(shared.jac, alone.jac)
    assert_equal(shared.hess, alone.hess)
    with problems.Quadratic().open() as here, open_objective(problems.Quadratic(), 2) as there:
        x = torch.tensor([1.0, 2.0], dtype=torch.float64)
        assert torch.equal(here.jac(x, seed=0), there.jac(x, seed=0))
        assert torch.equal(here.hess(x, seed=0), there.hess(x, seed=0))
        assert torch.equal(here.fun(x[None], seed=np.zeros(1)), there.fun(x[None], seed=np.zeros(1)))


@pytest.mark.render
def test_the_renderers_derivative_through_workers():
    if backend.activate() is backend.Backend.SCALAR:
        pytest.skip("the scalar backend has no derivatives")
    options = dict(x0=[8.0], rng=0, maxfev=8)
    problem, method = problems.Mug(size="tiny"), optimizers.Adam(lr=0.1)
    alone, shared = (invopt.minimize(problem, estimators.Autodiff(), method, **options, workers=k) for k in (1, 2))
    # Not the same bits: Dr.Jit's threads add up derivatives in any order.
    np.testing.assert_allclose(shared.history.x, alone.history.x, rtol=1e-5)
    assert shared.message == alone.message
    assert "leaves out" in shared.message


def test_scipys_objectives_can_be_shared_out():
    options = dict(args=(0.5,), x0=[2.0, 1.0], options=dict(rng=0, maxfev=60))
    alone = scipy.optimize.minimize(functions.scipy_objective, method=invopt.as_method(), **options)
    shared = scipy.optimize.minimize(functions.scipy_objective, method=invopt.as_method(workers=2), **options)
    _assert_same_bits(shared, alone)


def test_the_command_line_takes_workers(tmp_path):
    outcome = CliRunner().invoke(app, ["run", "box2", "--maxfev", "40", "--workers", "2", "--out", str(tmp_path)])
    assert outcome.exit_code == 0, outcome.output
    assert (tmp_path / "pictures.png").stat().st_size > 1000
    assert "'workers' must be >= 1: 0" in str(CliRunner().invoke(app, ["run", "box2", "--workers", "0"]).exception)


def test_workers_have_one_thread_and_load_no_renderer_in_vain():
    with open_objective(problems.Function(fun=functions.threads, x0=[0.0]), 2) as objective:
        assert objective.fun(torch.zeros(1, 1, dtype=torch.float64), seed=np.zeros(1)).item() == 1.0
    with open_objective(problems.Function(fun=functions.loads_mitsuba, x0=[0.0]), 2) as objective:
        assert objective.fun(torch.zeros(1, 1, dtype=torch.float64), seed=np.zeros(1)).item() == 0.0


@pytest.mark.render
def test_a_renderer_in_this_process_has_the_cores_to_itself():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with open_objective(problems.Mug(size="tiny")):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


# Budgets


@pytest.mark.parametrize("workers", [None, 2])
@pytest.mark.parametrize("maxfev", [1, 13, 50])
def test_maxfev_is_never_exceeded(workers, maxfev, tmp_path):
    problem = problems.Function(fun=partial(functions.notes_each_call, folder=tmp_path), x0=[1.0, 2.0])
    result = _solve(problem, maxfev=maxfev, workers=workers)
    assert result.status is Status.MAXFEV
    assert len(list(tmp_path.iterdir())) == result.nfev <= maxfev


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
    assert result.nfev == len(noted) > 0
    # The run's clock starts once the workers are open.
    assert began < noted[0] <= noted[-1] < ended
    assert noted[-1] - noted[0] < 1.1


@pytest.mark.parametrize("workers", [2, map])
def test_values_that_are_not_finite(workers):
    with pytest.raises(invopt.NonFiniteError) as caught:
        _solve(problems.Function(fun=functions.nothing_but_nan, x0=[1.0]), workers=workers)
    assert caught.value.result.status is Status.NONFINITE


# Failures


@pytest.mark.parametrize("evaluator", ["1", "2", "map", "stdlib", "loky"])
def test_an_exception_says_what_and_where_and_loses_nothing(evaluator):
    problem = problems.Function(fun=partial(functions.fails_left_of, edge=1.5), x0=[3.0, 1.0], sigma=0.3)
    with pytest.raises(EvaluationError) as alone:
        _solve(problem)
    with EVALUATORS[evaluator]() as workers, pytest.raises(EvaluationError, match="raised ZeroDivisionError") as caught:
        _solve(problem, workers=workers)
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
        _solve(problems.Function(fun=fun, x0=[1.0, 2.0]), workers=2)
    assert caught.value.result.nfev == 0
    assert caught.value.result.status is Status.ERROR


def test_a_worker_that_dies_once_is_replaced(tmp_path, caplog):
    problem = problems.Function(fun=functions.once(tmp_path), x0=[1.0, 2.0, 3.0])
    shared = _solve(problem, workers=2)
    assert "a worker process died (exit code 3); it is restarted, its points evaluated again" in caplog.text
    _assert_same_bits(shared, _solve(problems.Function(fun=functions.bowl, x0=[1.0, 2.0, 3.0])))


def test_a_worker_killed_between_calls_is_replaced(caplog, expected):
    killed = []

    def kill(*, intermediate_result):
        if not killed:
            killed.append(_workers_of_ours()[0])
            killed[0].kill()
            while killed[0].status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.01)

    result = _solve(problems.Function(**FUNCTIONS["seeded"]), workers=2, callback=kill)
    assert "killed by signal 9" in caplog.text
    _assert_same_bits(result, expected["seeded"])


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
    workers = psutil.Process(parent.pid).children()
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(workers, timeout=30)
    for worker in alive:
        worker.kill()
    assert len(workers) == 2
    assert alive == []


def _workers_of_ours():
    return [child for child in _children() if "invopt._worker" in " ".join(child.cmdline())]


def test_an_executor_whose_worker_dies():
    with stdlib_pool() as executor, pytest.raises(EvaluationError, match="executor in 'workers' .* at x = ") as caught:
        _solve(problems.Function(fun=functions.dies, x0=[1.0]), workers=executor)
    assert caught.value.result.status is Status.ERROR


def test_an_executor_that_is_shut_down():
    with ThreadPoolExecutor(1) as executor:
        pass
    with pytest.raises(EvaluationError, match="takes no more: cannot schedule new futures after shutdown"):
        _solve(problems.Function(fun=functions.bowl, x0=[1.0]), workers=executor)


def test_a_callback_that_raises_ends_the_workers():
    def fails(*, intermediate_result):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        _solve(problems.Function(fun=functions.bowl, x0=[1.0]), workers=2, callback=fails)


def test_ctrl_c_returns_what_there_is_and_leaves_no_process():
    # Sent to the process, as a terminal does: only then does it wake the main thread. Once workers are at work, and
    # while the main thread waits for them.
    interrupt = threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGINT])

    def start_once(*, intermediate_result):
        if intermediate_result.nit == 1:
            interrupt.start()

    problem = problems.Function(fun=functions.slow, x0=[1.0, 2.0])
    result = _solve(problem, maxfev=None, maxiter=10**6, gtol=0, xtol=0, workers=2, callback=start_once)
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


# Scripts and sessions


BODY = """
import math
import invopt

def own(x):
    return math.hypot(x[0] - 1, x[1])
{guard}
    result = invopt.minimize(own, x0=[2.0, 2.0], rng=0, maxfev=40, workers=2, progress=False)
    print("nfev", result.nfev, repr(result.fun))
"""


@pytest.mark.parametrize("guard", ['if __name__ == "__main__":', "if True:"])
@pytest.mark.parametrize("as_module", [False, True])
def test_a_script_needs_no_guard(guard, as_module, tmp_path):
    (tmp_path / "script.py").write_text(BODY.format(guard=guard))
    command = [sys.executable, *(["-m", "script"] if as_module else ["script.py"])]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert line.startswith("nfev ")
    assert done.stderr == ""


@pytest.mark.parametrize("fun", ["own", "workers_functions.bowl"])
def test_interactive_use(fun, tmp_path):
    code = f"import invopt, workers_functions\ndef own(x): return x @ x\nfun = {fun}\n" + textwrap.dedent("""
        try:
            print(invopt.minimize(fun, x0=[2.0, 2.0], rng=0, maxfev=40, workers=2, progress=False).nfev)
        except TypeError as error:
            print(error)
    """)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True
    )
    if fun == "own":
        assert "'fun' of Function is defined interactively, where no worker can import it from" in done.stdout
    else:
        assert 0 < int(done.stdout) <= 40


# Bad input


def never(x):
    pytest.fail("evaluated before the arguments were checked")


class NoMap:
    def get_executor(self):
        """As dask's client."""

    def __str__(self):
        return "no map"  # the same test in every process


@pytest.mark.parametrize(
    ("workers", "error", "said"),
    [
        (0, ValueError, "'workers' must be >= 1: 0"),
        (-1, ValueError, "'workers' must be >= 1: -1"),
        (True, TypeError, "'workers' must be an integer, a map-like callable or an Executor: True"),
        (2.5, TypeError, "'workers' must be an integer, .*: 2.5"),
        ("two", TypeError, "'workers' must be an integer, .*: 'two'"),
        ([2], TypeError, "'workers' must be an integer"),
        (ProcessPoolExecutor, TypeError, r"instance, not a class: write ProcessPoolExecutor\(\.\.\.\)"),
        (NoMap(), TypeError, r"pass NoMap\(\.\.\.\)\.get_executor\(\)"),
    ],
    ids=str,
)
def test_bad_workers(workers, error, said):
    with pytest.raises(error, match=said):
        invopt.minimize(never, x0=[1.0], workers=workers)


@pytest.mark.parametrize("workers", [2, map, Executor()])
def test_what_cannot_be_pickled_is_refused_before_anything_starts(workers):
    with pytest.raises(TypeError, match="'fun' of Function cannot be sent to workers .*lambda.*top level of a module"):
        invopt.minimize(lambda x: never(x), x0=[1.0], workers=workers)

    class Local(problems.Quadratic):
        pass

    with pytest.raises(TypeError, match=r"'problem' \(Local\) cannot be sent to workers"):
        invopt.minimize(Local(), workers=workers)


def test_one_worker_needs_no_pickle():
    assert invopt.minimize(lambda x: float(x @ x), x0=[1.0], rng=0, maxfev=20, workers=1).nfev > 0


def test_a_session_has_none():
    with pytest.raises(TypeError, match="'workers' means nothing to a Session"):
        invopt.Session(x0=[1.0], workers=2)


def _reversed(func, iterable):
    return [func(element) for element in iterable][::-1]


def _short(func, iterable):
    return [func(element) for element in iterable][:-1] or [func(invopt._worker.Call())]


@pytest.mark.parametrize(
    ("workers", "said"),
    [
        (_reversed, "in the order of the iterable"),
        (_short, "a result for each of 12 elements, got 11"),
        (lambda func, iterable: [1.0 for _ in iterable], "must return the results of func"),
    ],
)
def test_a_map_that_is_none(workers, said):
    with pytest.raises(EvaluationError, match=said):
        _solve(problems.Function(fun=functions.bowl, x0=[1.0, 2.0]), workers=workers)


def test_a_problem_that_does_not_open():
    with pytest.raises(ModuleNotFoundError, match="no such module here"):
        _solve(problems.Function(fun=functions.OnlyHere(), x0=[1.0]), workers=2)


def test_on_cuda_one_process_owns_the_device(monkeypatch, caplog):
    class OpenedError(Exception):
        pass

    def opened(self):
        raise OpenedError

    monkeypatch.setattr("invopt._workers.foresee", lambda wanted: backend.Backend.CUDA)
    monkeypatch.setattr(problems.Mug, "open", opened)
    with pytest.raises(OpenedError):
        invopt.minimize("mug", workers=4)
    assert "one process owns the GPU: workers=4 is reduced to 1" in caplog.text


@pytest.mark.render
def test_a_fork_of_a_process_that_renders_is_refused():
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
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert "forked from one that renders cannot render" in done.stdout


def test_futures_called_off_by_others():
    class CalledOff(Executor):
        def submit(self, fn, /, *args, **kwargs):
            future = Future()
            future.cancel()
            return future

    with pytest.raises(EvaluationError, match="executor in 'workers' failed: CancelledError"):
        _solve(problems.Function(fun=functions.bowl, x0=[1.0]), workers=CalledOff())


def test_the_estimator_that_needs_more_than_points():
    class NeedsSides(estimators.FR22):
        needs = invopt.Capability.SIDES

    class Sided(problems.Quadratic):
        provides = problems.Quadratic.provides | invopt.Capability.SIDES

    with pytest.raises(invopt.IncompatibleError, match="SIDES cannot be shared out"):
        invopt.minimize(Sided(), NeedsSides(), optimizers.Adam(), workers=2)
