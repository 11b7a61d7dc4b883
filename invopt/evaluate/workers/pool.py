"""A pool of spawned, single-threaded processes, each with one open objective."""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from invopt.evaluate.workers.payload import Call, Payload, Reply
from invopt.evaluate.workers.process import WorkerProcess

__all__ = ["PULSE", "Pool"]

# Seconds between looks at whether Ctrl-C was pressed: an endless wait is not interrupted everywhere.
PULSE = 0.2

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# Seconds that closing an objective may take.
_PATIENCE = 20.0


class Pool:
    """Processes that answer calls.

    A thread waits for each process, so that calls, replies and deaths of the processes need no other bookkeeping.

    Parameters
    ----------
    payload : Payload
        The problem.
    k : int
        Processes.
    environment : mapping of str
        Environment variables to add.
    """

    def __init__(self, payload: Payload, k: int, environment: Mapping[str, str]) -> None:
        # Not `multiprocessing`, which runs the main script again in every process.
        greeting = pickle.dumps((sys.path, sys.argv)) + pickle.dumps(payload)
        self._workers = [WorkerProcess(greeting, os.environ | _ONE_THREAD | dict(environment)) for _ in range(k)]
        self._threads = ThreadPoolExecutor(k, "invopt-worker", initializer=_leave_interrupts_to_the_main_thread)
        self._idle: queue.SimpleQueue[WorkerProcess] = queue.SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)

    def start(self) -> Reply:
        """Start all processes and open their objectives; the first one's description, or an error of any."""
        futures = [self._threads.submit(worker.open) for worker in self._workers]
        while wait(futures, timeout=PULSE).not_done:
            pass
        replies = [future.result() for future in futures]
        return next((reply for reply in replies if reply.failure is not None), replies[0])

    def submit(self, calls: Sequence[Call]) -> list[Future[Reply]]:
        """Have a process answer calls, one after the other; a future for each."""
        futures: list[Future[Reply]] = [Future() for _ in calls]
        self._threads.submit(self._answer, list(zip(calls, futures, strict=True)))
        return futures

    def _answer(self, pairs: list[tuple[Call, Future[Reply]]]) -> None:
        worker = self._idle.get()
        try:
            worker.answer([pair for pair in pairs if pair[1].set_running_or_notify_cancel()])
        except BaseException as error:  # noqa: BLE001 - raised where the replies are waited for
            for _, future in pairs:
                if not future.done():
                    future.set_exception(error)
        finally:
            self._idle.put(worker)

    def end_overdue(self, timeout: float) -> float:
        """Kill the processes whose call has taken `timeout` seconds; how soon the next one may have."""
        return min(worker.end_overdue(timeout) for worker in self._workers)

    def end_all(self) -> None:
        """Kill the processes that are at work; what they were at is late."""
        for worker in self._workers:
            worker.end_now()

    def close(self) -> None:
        """End all processes: those that are idle close their objectives, those still at work are killed."""
        try:
            self._threads.shutdown(wait=False, cancel_futures=True)
            for worker in self._workers:
                worker.finish()
            for worker in self._workers:
                worker.wait(_PATIENCE)
        finally:
            for worker in self._workers:
                worker.kill()
            self._threads.shutdown(wait=True)


def _leave_interrupts_to_the_main_thread() -> None:
    # Processes inherit the mask of the thread that starts them: Ctrl-C in a terminal goes to all of them.
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
