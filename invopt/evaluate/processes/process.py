"""WorkerProcess: one process of a pool, replaced when it dies or takes too long."""

from __future__ import annotations

import contextlib
import logging
import math
import pickle
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from typing import Any, TypeAlias

from invopt.evaluate.processes import starting
from invopt.evaluate.processes.service import Loss
from invopt.evaluate.processes.starting import Process, Setup
from invopt.exceptions import EvaluationError

__all__ = ["Pair", "WorkerProcess"]

_logger = logging.getLogger("invopt.workers")
# What reading from, or writing to, a process that has died raises.
_GONE = (EOFError, OSError, pickle.UnpicklingError)
# Stands for a request while the service is opened.
_OPENING = object()

Pair: TypeAlias = tuple[Any, "Future[Any]"]


class _LostError(Exception):
    """The process was lost while it opened the service."""

    def __init__(self, loss: Loss) -> None:
        super().__init__(loss.how)
        self.loss = loss


class WorkerProcess:
    """A process and the pipes to it.

    One thread at a time uses it; any other thread may end it.

    Parameters
    ----------
    setup : Setup
        How it is started.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._process: Process | None = None
        # Guards what follows: the thread that asks and the threads that end the process use it.
        self._lock = threading.Lock()
        self._busy = self._closing = self._stopped = False
        # The request at work, since when, and the seconds that it may take.
        self._request: Any = None
        self._since: float | None = None
        self._limit = math.inf
        # Seconds that the requests of the present call may take.
        self._timeout = math.inf
        self._overdue: Any = None
        self._died_over: Any = None

    # Requests, for the thread that uses the process.

    def open(self) -> Any:
        """Start a process and have it open the service.

        Returns what `Service.open` returned there.
        """
        try:
            return self._open()
        except _LostError as lost:
            return self._setup.service.lost(None, lost.loss)

    def ask(self, request: Any, timeout: float = math.inf) -> Any:
        """Reply to one request; CancelledError if the process is ended meanwhile."""
        future: Future[Any] = Future()
        self.answer([(request, future)], timeout)
        return future.result()

    def answer(self, pairs: Sequence[Pair], timeout: float = math.inf) -> None:
        """Have requests answered in order, each in `timeout` seconds.

        Each future is set as soon as its reply comes.
        """
        left = deque(pairs)
        with self._lock:
            self._stopped, self._timeout = False, timeout
        while left:
            if self._process is None and not self._reopened(left):
                continue
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

    def _reopened(self, left: deque[Pair]) -> bool:
        """Start a process; if that fails the first request is lost.

        Returns whether there is one.
        """
        try:
            self._setup.service.check_opened(self._open())
        except _LostError as lost:
            request, future = left[0]
            reply = self._setup.service.lost(request, lost.loss)
            left.popleft()
            future.set_result(reply)
            return False
        return True

    def _exchange(self, left: deque[Pair]) -> None:
        """Send the requests and receive the replies."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(pickle.dumps(tuple(request for request, _ in left), protocol=pickle.HIGHEST_PROTOCOL))
        process.stdin.flush()
        while left:
            request, future = left[0]
            with self._at_work_on(request, self._timeout):
                reply = pickle.load(process.stdout)
            left.popleft()
            future.set_result(reply)

    def _account_for(self, error: Exception, left: deque[Pair]) -> None:
        """The process died over the first request left: it is repeated, or lost."""
        request, future = left[0]
        overdue, loss = self._buried(error)
        if overdue is not None and overdue is not request:
            # Ended because of the request before, whose reply was already on its way: this one is repeated.
            return
        if overdue is None and self._setup.service.repeats and self._died_over is not request:
            self._died_over = request
            self._warn(loss)
            return
        left.popleft()
        future.set_result(self._setup.service.lost(request, loss))

    @contextmanager
    def _at_work_on(self, request: Any, limit: float) -> Iterator[None]:
        """Measure the time of a request.

        If the process is lost, `_buried` reads and clears it.
        """
        with self._lock:
            self._request, self._since, self._limit = request, time.monotonic(), limit
        yield
        with self._lock:
            self._since = None

    # Starting and clearing away.

    def _open(self) -> Any:
        """Start a process, again if it dies; returns what `Service.open` returned there."""
        with self._lock:
            self._busy = True
        try:
            for is_last in (False, True) if self._setup.service.repeats else (True,):
                try:
                    return self._opened()
                except _GONE as error:
                    overdue, loss = self._buried(error, opening=True)
                if overdue is not None or is_last:
                    raise _LostError(loss)
                self._warn(loss)
        finally:
            self._busy = False

    def _opened(self) -> Any:
        process = self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        with self._at_work_on(_OPENING, self._setup.opening_timeout):
            process.stdin.write(self._setup.greeting)
            process.stdin.flush()
            return pickle.load(process.stdout)

    def _start(self) -> Process:
        with self._lock:
            if self._closing or self._stopped:
                raise CancelledError
            self._process = starting.start(self._setup)
            return self._process

    def _buried(self, error: Exception, *, opening: bool = False) -> tuple[Any, Loss]:
        """Clear a dead process away.

        Returns the request that it was ended for, if any, and what was lost.
        """
        with self._lock:
            overdue, since, limit = self._overdue, self._since, self._limit
            self._overdue = self._since = None
        process, self._process = self._process, None
        if process is None:
            raise EvaluationError(f"no worker process can be started: {error}") from error
        starting.end(process)
        starting.close(process)
        if self._closing or self._stopped:
            raise CancelledError from None
        code = process.wait()
        return overdue, Loss(
            how=f"killed by signal {-code}" if code < 0 else f"exit code {code}",
            timeout=None if overdue is None else limit,
            opening=opening,
            seconds=0.0 if since is None else time.monotonic() - since,
            worker=f"{socket.gethostname()}:{process.pid}",
            log=self._setup.log,
        )

    @staticmethod
    def _warn(loss: Loss) -> None:
        _logger.warning("invopt: a worker process died (%s); it is restarted and its work is repeated", loss.how)

    # Ending, for other threads.

    def end_overdue(self) -> float:
        """Kill the process if its request has taken too long.

        Returns in how many seconds the next one may have.
        """
        with self._lock:
            if self._since is None or self._process is None:
                return self._timeout
            left = self._since + self._limit - time.monotonic()
            if left > 0:
                return left
            self._overdue = self._request
            starting.end(self._process)
            return self._timeout

    def end_now(self) -> None:
        """Kill the process if it is at work."""
        with self._lock:
            self._stopped = self._busy
            if self._busy and self._process is not None:
                starting.end(self._process)

    def finish(self) -> None:
        """Let the process end: by itself if it is idle, at once if it is at work."""
        with self._lock:
            self._closing = True
            process = self._process
        if process is None:
            return
        if self._busy:
            starting.end(process)
        elif process.stdin is not None:
            # Not only by closing the pipe: a fork of this process may hold another end of it.
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
        """End the process, if it has not ended, and close its pipes."""
        process = self._process
        if process is not None:
            starting.end(process)
            starting.close(process)
