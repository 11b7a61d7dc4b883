"""One process of a pool: started when first asked, replaced when it dies or is ended for taking too long."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError, Future
from typing import TypeAlias

from invopt.evaluate.workers.forked import ForkedProcess, can_fork
from invopt.evaluate.workers.payload import Call, Failure, Reply
from invopt.evaluate.workers.server import BOOT
from invopt.exceptions import EvaluationError, EvaluationTimeoutError

__all__ = ["WorkerProcess"]

_logger = logging.getLogger("invopt.workers")
# What reading from, or writing to, a process that has died raises.
_GONE = (EOFError, OSError, pickle.UnpicklingError)
_OVERDUE = "the evaluation did not end within 'timeout' = {:g} s; its process was ended and is replaced"
_DIED = (
    "a worker process died ({}) after one restart; what it printed is on stderr, and with 'workers' left out the "
    "failure happens here, where a debugger sees it"
)

Pair = tuple[Call, "Future[Reply]"]
_Process: TypeAlias = "subprocess.Popen[bytes] | ForkedProcess"


class WorkerProcess:
    """A process and the pipes to it, used by one thread at a time; any other may end it.

    Parameters
    ----------
    greeting : bytes
        What a new process is told first.
    environment : dict of str
        Its environment.
    """

    def __init__(self, greeting: bytes, environment: dict[str, str]) -> None:
        self._greeting = greeting
        self._environment = environment
        self._process: _Process | None = None
        # Guards what follows: the thread that asks and those that end the process look at it.
        self._lock = threading.Lock()
        self._busy = self._closing = self._stopped = False
        self._call: Call | None = None
        self._since: float | None = None
        self._timeout = 0.0
        self._overdue: Call | None = None
        self._died_over: Call | None = None

    def open(self) -> Reply:
        """Start a process and have it open the problem, once more if it dies over it; its description, or a failure."""
        with self._lock:
            self._busy = True
        try:
            try:
                return self._opened()
            except _GONE as error:
                self._warn(self._bury(error))
            try:
                return self._opened()
            except _GONE as error:
                raise EvaluationError(_DIED.format(self._bury(error))) from None
        finally:
            self._busy = False

    def answer(self, pairs: Sequence[Pair]) -> None:
        """Have calls answered in order, the future of each set as soon as it is."""
        left = deque(pairs)
        with self._lock:
            self._stopped = False
        while left:
            if self._process is None and (opened := self.open()).failure is not None:
                raise opened.failure.exception()
            with self._lock:
                if self._closing or self._stopped:
                    raise CancelledError
                self._busy = True
            try:
                self._exchange(left)
            except _GONE as error:
                self._account_for(error, left)
            finally:
                self._busy = False

    def _exchange(self, left: deque[Pair]) -> None:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(pickle.dumps(tuple(call for call, _ in left), protocol=pickle.HIGHEST_PROTOCOL))
        process.stdin.flush()
        while left:
            call, future = left[0]
            with self._lock:
                self._call, self._since = call, time.monotonic()
            reply = pickle.load(process.stdout)
            with self._lock:
                self._since = None
            left.popleft()
            future.set_result(reply)

    def _account_for(self, error: Exception, left: deque[Pair]) -> None:
        """The process has died over the first of the calls left: that has failed, or is tried once more."""
        call, future = left[0]
        with self._lock:
            overdue, since = self._overdue, self._since
            self._overdue = self._since = None
        worker = self._name()
        how = self._bury(error)
        failure: EvaluationError | None = None
        if overdue is not None:
            # Ended for the call before it, whose reply was already on its way, it owes this one nothing.
            failure = EvaluationTimeoutError(_OVERDUE.format(self._timeout)) if overdue is call else None
        elif self._died_over is call:
            failure = EvaluationError(_DIED.format(how))
        else:
            self._died_over = call
            self._warn(how)
        if failure is not None:
            left.popleft()
            seconds = 0.0 if since is None else time.monotonic() - since
            future.set_result(Reply(call.index, failure=Failure.here(failure), seconds=seconds, worker=worker))

    def _name(self) -> str:
        return "" if self._process is None else f"{socket.gethostname()}:{self._process.pid}"

    def _opened(self) -> Reply:
        process = self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(self._greeting + pickle.dumps((Call(),)))
        process.stdin.flush()
        reply: Reply = pickle.load(process.stdout)
        return reply

    def _start(self) -> _Process:
        with self._lock:
            if self._closing or self._stopped:
                raise CancelledError
            self._process = ForkedProcess(self._environment) if can_fork() else _spawned(self._environment)
            return self._process

    def _bury(self, error: Exception) -> str:
        """Clear a dead process away; how it died."""
        process, self._process = self._process, None
        if process is None:
            raise EvaluationError(f"no worker process can be started: {error}") from error
        _end(process)
        _close(process)
        if self._closing or self._stopped:
            raise CancelledError from None
        code = process.wait()
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"

    @staticmethod
    def _warn(how: str) -> None:
        _logger.warning("invopt: a worker process died (%s); it is restarted, its points evaluated again", how)

    def end_overdue(self, timeout: float) -> float:
        """Kill the process if its call has taken `timeout` seconds; in how many its next one may have."""
        with self._lock:
            if self._since is None or self._process is None:
                return timeout
            left = self._since + timeout - time.monotonic()
            if left > 0:
                return left
            self._overdue, self._timeout = self._call, timeout
            _end(self._process)
            return timeout

    def end_now(self) -> None:
        """Kill the process if it is at work."""
        with self._lock:
            self._stopped = self._busy
            if self._busy and self._process is not None:
                _end(self._process)

    def finish(self) -> None:
        """Let the process end: by itself if it is idle, at once if it works."""
        with self._lock:
            self._closing = True
            process = self._process
        if process is None:
            return
        if self._busy:
            _end(process)
        elif process.stdin is not None:
            # Not by closing the pipe alone: a fork of this process may hold another end of it.
            with contextlib.suppress(OSError):
                process.stdin.write(pickle.dumps(None))
                process.stdin.close()

    def wait(self, timeout: float) -> None:
        """Wait for a finished process to end."""
        process = self._process
        if process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout)

    def kill(self) -> None:
        """End the process, if it has not ended, and let go of its pipes."""
        process = self._process
        if process is not None:
            _end(process)
            _close(process)


def _spawned(environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """A new process that imports what it needs."""
    return subprocess.Popen(
        [sys.executable, "-c", BOOT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=dict(environment),
        # Ctrl-C in a terminal is the parent's to see; and what `fun` starts can be ended with the process.
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )


def _end(process: _Process) -> None:
    """Kill a process with the programs it has started."""
    # Once it is waited for, its number may be another's.
    if process.returncode is None and hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _close(process: _Process) -> None:
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            if pipe is not None:
                pipe.close()
