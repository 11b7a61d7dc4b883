"""All kinds of workers: processes, maps and executors; and comparison of runs."""

import multiprocessing
import os
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest

import invopt
from invopt import estimators

HERE = str(Path(__file__).parent)
with pytest.MonkeyPatch.context() as patch:
    # Importable here as in any worker, under one name.
    patch.syspath_prepend(HERE)
    import workers_functions as functions


def children():
    """Child processes, without servers that are kept for later use."""
    found = psutil.Process().children(recursive=True)
    return [child for child in found if not _stays(child)]


def _stays(child):
    try:
        command, parent = " ".join(child.cmdline()), child.ppid()
    except psutil.NoSuchProcess:
        return True
    # The server of programs, and its processes that have ended and are not yet reaped.
    if "python_server" in command or "python_server" in _command(parent):
        return True
    # A forked worker has the command of the process that it was forked from.
    forks = "processes.fork_server" in command and parent == os.getpid()
    return forks or any(name in command for name in ("resource_tracker", "forkserver"))


def _command(pid):
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.NoSuchProcess:
        return ""


def preloaded():
    """A multiprocessing context whose processes are forked after the imports."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["invopt.evaluate.workers.server"])
    return context


@contextmanager
def stdlib_pool(context=None):
    with ProcessPoolExecutor(2, mp_context=context or preloaded()) as executor:
        yield executor


@contextmanager
def stdlib_map():
    with preloaded().Pool(2) as pool:
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
    "stdlib, spawned": partial(stdlib_pool, multiprocessing.get_context("spawn")),
    "stdlib map": stdlib_map,
    "loky": loky_pool,
    "dask": dask_cluster,
}


FUNCTIONS = {
    "one by one": dict(fun=functions.bowl, x0=[1.0, 2.0, 3.0]),
    "lambda": dict(fun=lambda x: functions.bowl(2 * x), x0=[1.0, 2.0]),
    "seeded": dict(fun=functions.noisy, x0=[1.0, 2.0, 3.0], seeded=True),
    "vectorized": dict(fun=functions.batched, x0=np.ones(7), vectorized=True, chunk_size=5),
}


def solve(problem, **options):
    made = estimators.SharedSamples(n_samples=6)
    return invopt.minimize(problem, made, rng=3, progress=False, **({"maxfev": 130} | options))


def assert_same_bits(result, expected):
    for name in ("x", "fun", "step", "nfev", "standard_error"):
        np.testing.assert_array_equal(result.history[name], expected.history[name], err_msg=name)
    assert (result.status, result.nfev) == (expected.status, expected.nfev)
    np.testing.assert_array_equal(result.x, expected.x)


def workers_of_ours():
    return [child for child in children() if "invopt.evaluate.processes." in " ".join(child.cmdline())]
