"""Pool: single-threaded processes that answer requests, with time limits."""

from __future__ import annotations

import concurrent.futures
import math
import os
import pickle
import queue
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

from invopt.evaluate.processes.import_path import import_path
from invopt.evaluate.processes.process import Pair, WorkerProcess
from invopt.evaluate.processes.service import Service
from invopt.evaluate.processes.starting import Setup

__all__ = ["PULSE", "Pool"]

T = TypeVar("T")
# Seconds between looks at time limits and at Ctrl-C: on some systems a wait without a timeout cannot be interrupted.
PULSE = 0.2
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# Seconds that closing a service may take, such as one with a scene on a GPU; after that its process is killed.
_CLOSING_TIMEOUT = 20.0


class _Job(NamedTuple):
    """Requests for one process with their futures, and the time limit of each."""

    pairs: Sequence[Pair]
    timeout: float


class Pool:
    """Processes that each run a service and answer requests.

    A thread waits for each process, so that requests, replies and deaths of processes need no other bookkeeping. A pool
    that is never closed, because an exception came first, ends once nothing refers to it, or with the interpreter.

    Parameters
    ----------
    service : Service
        What each process does.
    k : int
        Number of processes.
    environment : mapping of str, optional
        Environment variables to add.
    logs : sequence of Path, optional
        A file for each process that gets what it prints; by default stderr of this process does.
    opening_timeout : float, default inf
        Seconds that a process may take to start and to open the service.
    """

    def __init__(
        self,
        service: Service,
        k: int,
        environment: Mapping[str, str] | None = None,
        *,
        logs: Sequence[Path] | None = None,
        opening_timeout: float = math.inf,
    ) -> None:
        # Not `multiprocessing`, which runs the main script again in every process.
        greeting = pickle.dumps((import_path(), sys.argv)) + pickle.dumps(service)
        variables = os.environ | _ONE_THREAD | dict(environment or {})
        common = partial(
            Setup, service=service, greeting=greeting, environment=variables, opening_timeout=opening_timeout
        )
        self._processes = [WorkerProcess(common(log=None if logs is None else logs[i])) for i in range(k)]
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        # Threads hold the processes and the jobs, not the pool, which can be collected while they wait.
        self._threads: list[threading.Thread] = []
        self._takes_jobs = False
        parts = os.getpid(), self._processes, self._jobs, self._threads
        self._left_behind = weakref.finalize(self, _end_in_thread, *parts)
        # With the interpreter the pipes close, at which the processes end by themselves.
        self._left_behind.atexit = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> list[Any]:
        """Start all processes; returns what `Service.open` returned in each."""
        return self.on_each(WorkerProcess.open)

    def on_each(self, function: Callable[[WorkerProcess], T]) -> list[T]:
        """Call ``function(process)`` for all processes at once, each in a thread.

        Returns the results.
        """
        futures = [self._in_thread(function, process) for process in self._processes]
        while concurrent.futures.wait(futures, timeout=PULSE).not_done:
            self.end_overdue()
        return [future.result() for future in futures]

    def submit(self, requests: Sequence[Any], timeout: float = math.inf) -> list[Future[Any]]:
        """Have a process answer requests one after the other, each in `timeout` seconds.

        A future for each.

        The time limit is kept as long as `end_overdue` is called now and then.
        """
        if not self._takes_jobs:
            self._takes_jobs = True
            for process in self._processes:
                self._in_thread(partial(_take_jobs, self._jobs), process)
        futures: list[Future[Any]] = [Future() for _ in requests]
        self._jobs.put(_Job(list(zip(requests, futures, strict=True)), timeout))
        return futures

    def end_overdue(self) -> float:
        """Kill processes whose request has taken too long.

        Returns in how many seconds the next one may have.
        """
        return min(process.end_overdue() for process in self._processes)

    def end_all(self) -> None:
        """Kill the processes that are at work; their requests are cancelled."""
        for process in self._processes:
            process.end_now()

    def close(self) -> None:
        """End all processes: idle ones close their services, those at work are killed."""
        if (found := self._left_behind.detach()) is not None:
            _end_all(*found[2])

    def _in_thread(self, function: Callable[[WorkerProcess], T], process: WorkerProcess) -> Future[T]:
        future: Future[T] = Future()
        # A daemon: where a pool is never closed, the interpreter does not wait for its threads.
        thread = threading.Thread(target=_run, args=(future, function, process), name="invopt-worker", daemon=True)
        self._threads.append(thread)
        thread.start()
        return future


def _run(future: Future[T], function: Callable[[WorkerProcess], T], process: WorkerProcess) -> None:
    # Processes inherit the mask of the thread that starts them: Ctrl-C in a terminal goes to all of them.
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        future.set_result(function(process))
    except BaseException as error:  # noqa: BLE001 - raised where the result is waited for
        future.set_exception(error)


def _take_jobs(jobs: queue.SimpleQueue[_Job | None], process: WorkerProcess) -> None:
    """Have a process do jobs until None comes."""
    while (job := jobs.get()) is not None:
        try:
            pairs = [pair for pair in job.pairs if pair[1].set_running_or_notify_cancel()]
            process.answer(pairs, job.timeout)
        except BaseException as error:  # noqa: BLE001 - raised where the replies are waited for
            for _, future in job.pairs:
                if not future.done():
                    future.set_exception(error)


def _end_all(
    parent: int,
    processes: Sequence[WorkerProcess],
    jobs: queue.SimpleQueue[_Job | None],
    threads: Sequence[threading.Thread],
) -> None:
    """End all processes and threads of a pool.

    A fork of the process that made the pool has neither, and does nothing.
    """
    if os.getpid() != parent:
        return
    try:
        for process in processes:
            process.finish()
        for process in processes:
            # Behind all jobs that wait, each of which a finished process cancels.
            jobs.put(None)
            process.wait(_CLOSING_TIMEOUT)
    finally:
        for process in processes:
            process.kill()
        for thread in threads:
            thread.join()


def _end_in_thread(*parts: Any) -> None:
    # A pool may be collected in one of its own threads, or in a thread that holds a lock which ending it needs.
    threading.Thread(target=_end_all, args=parts, name="invopt-pool-end", daemon=True).start()
