"""A pool of spawned, single-threaded processes, each with one open objective."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from typing import Any

from invopt._worker import Call, Main, Payload, Reply
from invopt.exceptions import EvaluationError

__all__ = ["PULSE", "Pool", "main_module"]

# Seconds between looks at whether Ctrl-C was pressed: an endless wait is not interrupted everywhere.
PULSE = 0.2

_logger = logging.getLogger("invopt.workers")
# Not `multiprocessing`, which runs the main script again in every process: only a problem defined there needs that.
_BOOT = (
    "import pickle, sys; sys.path[:], sys.argv[:] = pickle.load(sys.stdin.buffer); "
    "from invopt._worker import serve; serve()"
)
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# Seconds that closing an objective may take.
_PATIENCE = 20.0


class Pool:
    """Processes that answer calls; `submit` is that of an executor.

    A thread waits for each process, so that calls, replies and deaths of the processes need no other bookkeeping.

    Parameters
    ----------
    payload : Payload
        The problem.
    k : int
        Processes.
    environment : dict of str
        Environment variables to add.
    """

    def __init__(self, payload: Payload, k: int, environment: dict[str, str]) -> None:
        greeting = pickle.dumps((sys.path, sys.argv)) + pickle.dumps((payload, main_module()))
        self._workers = [_Worker(greeting, os.environ | _ONE_THREAD | environment) for _ in range(k)]
        self._threads = ThreadPoolExecutor(k, "invopt-worker", initializer=_leave_interrupts_to_the_main_thread)
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)

    def start(self) -> Reply:
        """Start all processes and open their objectives; the first one's description, or an error of any."""
        futures = [self._threads.submit(worker.ask, (Call(),)) for worker in self._workers]
        while wait(futures, timeout=PULSE).not_done:
            pass
        replies = [reply for future in futures for reply in future.result()]
        return next((reply for reply in replies if reply.failure is not None), replies[0])

    def submit(self, calls: Sequence[Call]) -> Future[list[Reply]]:
        """Have a process answer calls, one after the other."""
        return self._threads.submit(self._ask, calls)

    def _ask(self, calls: Sequence[Call]) -> list[Reply]:
        worker = self._idle.get()
        try:
            return worker.ask(calls)
        finally:
            self._idle.put(worker)

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


class _Worker:
    """One process at a time, started when first asked, and once more if it dies."""

    def __init__(self, greeting: bytes, environment: dict[str, str]) -> None:
        self._greeting = greeting
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        # Guards the fields below: the thread that asks and the one that closes both look at them.
        self._lock = threading.Lock()
        self._busy = self._closing = self._died = False

    def ask(self, calls: Sequence[Call]) -> list[Reply]:
        """Answers of the process; if it dies over one, of the one started in its place."""
        with self._lock:
            if self._closing:
                raise CancelledError
            self._busy = True
        try:
            while True:
                try:
                    return self._exchange(calls)
                except (EOFError, OSError, pickle.UnpicklingError) as error:
                    self._bury(error)
        finally:
            self._busy = False

    def _exchange(self, calls: Sequence[Call]) -> list[Reply]:
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(pickle.dumps(tuple(calls), protocol=pickle.HIGHEST_PROTOCOL))
        process.stdin.flush()
        replies: list[Reply] = pickle.load(process.stdout)
        return replies

    def _start(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closing:
                raise CancelledError
            process = self._process = subprocess.Popen(
                [sys.executable, "-c", _BOOT],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=self._environment,
                # Ctrl-C on Windows reaches a whole group; elsewhere the signal mask is inherited.
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        assert process.stdin is not None
        process.stdin.write(self._greeting)
        return process

    def _bury(self, error: Exception) -> None:
        """Clear a dead process away; the second time is an error."""
        if self._closing:
            raise CancelledError from None
        if self._process is None:
            raise EvaluationError(f"no worker process can be started: {error}") from error
        self.kill()
        code = self._process.returncode
        self._process = None
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        if self._died:
            raise EvaluationError(
                f"a worker process died ({how}) after one restart; what it printed is on stderr, and with 'workers' "
                f"left out the failure happens here, where a debugger sees it"
            ) from None
        self._died = True
        _logger.warning("invopt: a worker process died (%s); it is restarted, its points evaluated again", how)

    def finish(self) -> None:
        """Let the process end: by itself if it is idle, at once if it works."""
        with self._lock:
            self._closing = True
            process = self._process
        if process is None:
            return
        if self._busy:
            process.kill()
        elif process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()

    def wait(self, timeout: float) -> None:
        """Wait for a finished process to end."""
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)

    def kill(self) -> None:
        """End the process, if it has not ended, and let go of its pipes."""
        process = self._process
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()


def main_module() -> Main | None:
    """Where the main module comes from; None if it was typed in."""
    module: Any = sys.modules["__main__"]
    spec = getattr(module, "__spec__", None)
    if spec is not None and spec.name != "__main__":
        return Main(spec.name, None)
    path = getattr(module, "__file__", None)
    return Main(None, os.path.abspath(path)) if path is not None and os.path.isfile(path) else None


def _leave_interrupts_to_the_main_thread() -> None:
    # Processes inherit the mask of the thread that starts them: Ctrl-C in a terminal goes to all of them.
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
