"""A worker forked from a process that has imported everything, handled as one that was started anew."""

from __future__ import annotations

import array
import contextlib
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping

from invopt.evaluate.workers.fork_server import BOOT, CODE, SIZE

__all__ = ["ForkedProcess", "can_fork"]

_DIED = -int(signal.SIGKILL)


def can_fork() -> bool:
    """Whether workers are forked here: on Linux; elsewhere libraries do not stand it."""
    return sys.platform == "linux" and hasattr(socket, "CMSG_SPACE") and hasattr(os, "O_PATH")


class _ForkServer:
    """The fork server of this process: started when first asked, again if it has ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def request(self, environment: Mapping[str, str], descriptors: list[int]) -> None:
        """Ask for a process with these descriptors; without an answer on the third one there was nobody to ask."""
        body = pickle.dumps(dict(environment))
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        with self._lock:
            requests = self._requests or self._start(environment)
            try:
                requests.sendmsg([SIZE.pack(len(body))], rights)
                requests.sendall(body)
            except OSError:
                # It ends when it was not needed for long.
                self._forget()

    def _start(self, environment: Mapping[str, str]) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            path = pickle.dumps(sys.path).hex()
            self._process = subprocess.Popen(
                [sys.executable, "-c", BOOT, str(theirs.fileno()), path],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=dict(environment),
                pass_fds=[theirs.fileno()],
                # Ctrl-C in a terminal is the parent's to see.
                start_new_session=True,
            )
        self._requests = ours
        return ours

    def _forget(self) -> None:
        if self._requests is not None:
            self._requests.close()
        if self._process is not None:
            self._process.wait()
        self._requests = self._process = None

    def forget_after_fork(self) -> None:
        """Leave it to the parent: it ends when the last end of the socket is closed."""
        self._lock = threading.Lock()
        if self._requests is not None:
            self._requests.close()
        self._requests = self._process = None


_SERVER = _ForkServer()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_SERVER.forget_after_fork)


class ForkedProcess:
    """A process that answers calls, with what is used of `subprocess.Popen`.

    Parameters
    ----------
    environment : mapping of str
        Its environment.

    Raises
    ------
    EOFError
        If there is none, for the fork server has died.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.returncode: int | None = None
        self._waiting = threading.Lock()
        # A fork server that was not needed for long may end while it is asked; the next attempt finds that it has gone.
        if not any(self._open(environment) for _ in range(3)):
            self.returncode = 1
            raise EOFError("the process that starts workers has died; what it printed is on stderr")

    def _open(self, environment: Mapping[str, str]) -> bool:
        """Have a process forked; False if there was nobody to do it."""
        pipes = [os.pipe() for _ in range(3)]
        (calls, stdin), (stdout, replies), (self._status, status) = pipes
        stderr, folder = _stderr(), os.open(".", os.O_PATH)
        try:
            _SERVER.request(environment, [calls, replies, status, stderr, folder])
        finally:
            for descriptor in (calls, replies, status, stderr, folder):
                os.close(descriptor)
        self.stdin, self.stdout = os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb")
        pid = os.read(self._status, CODE.size)
        if len(pid) == CODE.size:
            (self.pid,) = CODE.unpack(pid)
            return True
        for held in (self.stdin, self.stdout):
            held.close()
        os.close(self._status)
        return False

    def poll(self) -> int | None:
        """How the process has ended; None while it runs."""
        if self._waiting.acquire(blocking=False):
            try:
                self._look(0.0)
            finally:
                self._waiting.release()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the process to end; returns how it did."""
        with self._waiting:
            self._look(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("worker", timeout or 0.0)
        return self.returncode

    def _look(self, timeout: float | None) -> None:
        if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
            code = os.read(self._status, CODE.size)
            # Without its fork server nobody can tell.
            self.returncode = CODE.unpack(code)[0] if len(code) == CODE.size else _DIED
            os.close(self._status)

    def kill(self) -> None:
        """End the process."""
        if self.poll() is None:
            # It may have ended, and its end not have been told yet.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def _stderr() -> int:
    try:
        return os.dup(2)
    except OSError:
        # A daemon has none.
        return os.open(os.devnull, os.O_WRONLY)
