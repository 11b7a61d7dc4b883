"""ForkedProcess: a process of the fork server, used like `subprocess.Popen`."""

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
from typing import IO

from invopt.evaluate.processes.fork_server import CODE, SERVER_BOOT, SIZE
from invopt.evaluate.processes.import_path import import_path

__all__ = ["ForkedProcess", "can_fork"]

# How a process is taken to have ended whose fork server, which knows, has died too.
_UNKNOWN_END = -int(signal.SIGKILL)
# Requests until a process is refused. The fork server may end while it is asked, after which a new one is started.
_ATTEMPTS = 3


def can_fork() -> bool:
    """Whether processes are forked here: on Linux only.

    Elsewhere system libraries fail after a fork.
    """
    return sys.platform == "linux" and hasattr(socket, "CMSG_SPACE") and hasattr(os, "O_PATH")


class _ForkServer:
    """The fork server of this process, started when needed and none runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def request(self, environment: Mapping[str, str], descriptors: list[int]) -> None:
        """Ask for a process with these descriptors.

        If no answer comes on the third one, the server had ended.
        """
        body = pickle.dumps(dict(environment))
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        with self._lock:
            requests = self._requests or self._start(environment)
            try:
                requests.sendmsg([SIZE.pack(len(body))], rights)
                requests.sendall(body)
            except OSError:
                # It ends after a time without requests.
                self._forget()

    def _start(self, environment: Mapping[str, str]) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            path = pickle.dumps(import_path()).hex()
            self._process = subprocess.Popen(
                # -P: a file in the current folder must not stand in for a module that the boot code imports.
                [sys.executable, "-P", "-c", SERVER_BOOT, str(theirs.fileno()), path],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=dict(environment),
                pass_fds=[theirs.fileno()],
                # Ctrl-C in a terminal is for the parent.
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
        """Leave the server to the parent.

        It ends when the last end of the socket is closed.
        """
        self._lock = threading.Lock()
        if self._requests is not None:
            self._requests.close()
        self._requests = self._process = None


_SERVER = _ForkServer()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_SERVER.forget_after_fork)


class ForkedProcess:
    """A forked process with the methods of `subprocess.Popen` that a pool uses.

    Parameters
    ----------
    environment : mapping of str
        Its environment variables.
    log : file, optional
        Gets what the process prints; by default stderr of this process does.

    Raises
    ------
    EOFError
        If no process was started, because the fork server has died.
    """

    def __init__(self, environment: Mapping[str, str], log: IO[bytes] | None = None) -> None:
        self.returncode: int | None = None
        self._waiting = threading.Lock()
        if not any(self._open(environment, log) for _ in range(_ATTEMPTS)):
            self.returncode = 1
            raise EOFError("the process that starts workers has died; what it printed is on stderr")

    def _open(self, environment: Mapping[str, str], log: IO[bytes] | None) -> bool:
        """Have a process forked; False if the fork server had ended."""
        pipes = [os.pipe() for _ in range(3)]
        (calls, stdin), (stdout, replies), (self._status, status) = pipes
        self.stdin, self.stdout = os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb")
        stderr, folder = _stderr() if log is None else os.dup(log.fileno()), os.open(".", os.O_PATH)
        try:
            _SERVER.request(environment, [calls, replies, status, stderr, folder])
        except BaseException:
            self._close()
            raise
        finally:
            for descriptor in (calls, replies, status, stderr, folder):
                os.close(descriptor)
        pid = os.read(self._status, CODE.size)
        if len(pid) == CODE.size:
            (self.pid,) = CODE.unpack(pid)
            return True
        self._close()
        return False

    def _close(self) -> None:
        """Close what a process that was not started would have used."""
        for held in (self.stdin, self.stdout):
            held.close()
        os.close(self._status)

    def poll(self) -> int | None:
        """Exit code, or minus the number of a signal; None while the process runs."""
        if self._waiting.acquire(blocking=False):
            try:
                self._look(0.0)
            finally:
                self._waiting.release()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the process to end.

        Returns its exit code, or minus the number of a signal.
        """
        with self._waiting:
            self._look(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("worker", timeout or 0.0)
        return self.returncode

    def _look(self, timeout: float | None) -> None:
        if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
            code = os.read(self._status, CODE.size)
            self.returncode = CODE.unpack(code)[0] if len(code) == CODE.size else _UNKNOWN_END
            os.close(self._status)

    def kill(self) -> None:
        """End the process."""
        if self.poll() is None:
            # It may have ended before the fork server could say so.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def _stderr() -> int:
    """A copy of the descriptor of stderr."""
    try:
        return os.dup(2)
    except OSError:
        # A daemon has no stderr.
        return os.open(os.devnull, os.O_WRONLY)
