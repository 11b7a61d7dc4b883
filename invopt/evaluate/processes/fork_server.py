"""Fork server: imports everything once and forks the processes of pools."""

from __future__ import annotations

import array
import atexit
import contextlib
import gc
import os
import pickle
import random
import select
import signal
import socket
import struct
import sys
import traceback
from typing import Any, NoReturn

import numpy as np

from invopt.evaluate.processes.server import serve

__all__ = ["CODE", "SERVER_BOOT", "SIZE", "serve_forks"]

# First code of the process. The path is the parent's, so that the same package is imported.
SERVER_BOOT = (
    "import pickle, socket, sys; requests = socket.socket(fileno=int(sys.argv[1])); "
    "sys.path[:] = pickle.loads(bytes.fromhex(sys.argv[2])); "
    "from invopt.evaluate.processes.fork_server import serve_forks; serve_forks(requests)"
)
# Format of the length before a request, and of a process's number and exit code.
SIZE, CODE = struct.Struct("<Q"), struct.Struct("<i")
# Descriptors of a request: of the pipes for requests, replies and status, of stderr and of the current folder.
_DESCRIPTORS = 5
# Seconds without a process or a request after which the server ends; another one has to import everything again.
_LINGER = 30.0
# Signals that are read at once; each is one byte, of which none needs to be counted.
_MAX_SIGNALS = 4096


def serve_forks(requests: socket.socket) -> None:
    """Fork a process for each request and report how each ends.

    It returns once the parent is gone, or has asked for nothing for a time.
    """
    # Forks do not collect what was imported: a collection would take 0.2 s, and copy the pages that are shared.
    gc.freeze()
    ended, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    heard: list[socket.socket | int] = [requests, ended]
    # Descriptors on which to report the ends of processes.
    reports: dict[int, int] = {}
    while True:
        ready, _, _ = select.select(heard, [], [], None if reports else _LINGER)
        if ended in ready:
            os.read(ended, _MAX_SIGNALS)
            _report_ends(reports)
        if requests in ready:
            request = _receive(requests)
            if request is None:
                return
            _fork(*request, reports, requests, (ended, waker))
        if not ready and not reports:
            # Before anything else: the parent must see at once that no answer will come.
            requests.close()
            return


def _fork(
    environment: dict[str, str],
    descriptors: list[int],
    reports: dict[int, int],
    requests: socket.socket,
    pipe: tuple[int, int],
) -> None:
    """Fork a process, which never returns from here, and report its number.

    `requests`, `pipe` and those of `reports` are descriptors of this process that the new one must not keep.
    """
    calls, replies, status, stderr, folder = descriptors
    pid = os.fork()
    if pid == 0:
        requests.close()
        for descriptor in (*pipe, *reports.values(), status):
            os.close(descriptor)
        _become_worker(environment, calls, replies, stderr, folder)
    for descriptor in (calls, replies, stderr, folder):
        os.close(descriptor)
    reports[pid] = status
    _write(status, pid)


def _receive(requests: socket.socket) -> tuple[dict[str, str], list[int]] | None:
    """Environment and descriptors of the next request; None if there will be none."""
    found = array.array("i")
    with contextlib.suppress(ConnectionError):
        start, controls, _, _ = requests.recvmsg(
            SIZE.size, socket.CMSG_SPACE(_DESCRIPTORS * found.itemsize), socket.MSG_CMSG_CLOEXEC | socket.MSG_WAITALL
        )
        for level, kind, data in controls:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                found.frombytes(data)
        if len(start) == SIZE.size and len(found) == _DESCRIPTORS:
            (left,) = SIZE.unpack(start)
            body = bytearray()
            while left and (part := requests.recv(left)):
                body += part
                left -= len(part)
            if not left:
                return pickle.loads(body), found.tolist()
    return None


def _report_ends(reports: dict[int, int]) -> None:
    """Report the exit code of each process that has ended."""
    while reports:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        descriptor = reports.pop(pid)
        _write(descriptor, os.waitstatus_to_exitcode(status))
        os.close(descriptor)


def _write(descriptor: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(descriptor, CODE.pack(number))


def _become_worker(environment: dict[str, str], calls: int, replies: int, stderr: int, folder: int) -> NoReturn:
    """Become like a new process, serve, and end.

    The process gets its own session, folder, environment and random numbers.
    """
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        with contextlib.suppress(OSError):
            os.fchdir(folder)
        os.close(folder)
        os.environ.clear()
        os.environ.update(environment)
        for source, target in ((os.open(os.devnull, os.O_RDONLY), 0), (stderr, 1), (stderr, 2)):
            os.dup2(source, target)
        os.close(stderr)
        random.seed()
        np.random.seed()  # noqa: NPY002 - `fun` may draw from it without a seed, and forks would draw the same
        asked = os.fdopen(calls, "rb")
        sys.path[:], sys.argv[:] = pickle.load(asked)
        serve(asked, os.fdopen(replies, "wb"))
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - as the interpreter does at its end
        traceback.print_exc()
    finally:
        _end(code)


def _end(code: int) -> NoReturn:
    """End here: returning would continue the code of the fork server."""
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            _flush(stream)
    os._exit(code)


def _flush(stream: Any) -> None:
    stream.flush()
