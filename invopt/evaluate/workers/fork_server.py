"""A process that has imported everything and forks workers: one import serves all."""

from __future__ import annotations

import array
import atexit
import contextlib
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

from invopt.evaluate.workers.server import serve

__all__ = ["BOOT", "CODE", "SIZE", "serve_forks"]

# What the process runs first. The path is the parent's, so that the same package is imported.
BOOT = (
    "import pickle, socket, sys; requests = socket.socket(fileno=int(sys.argv[1])); "
    "sys.path[:] = pickle.loads(bytes.fromhex(sys.argv[2])); "
    "from invopt.evaluate.workers.fork_server import serve_forks; serve_forks(requests)"
)
# Of a request: its length, after which it follows; of a process's number, and later of how it ended.
SIZE, CODE = struct.Struct("<Q"), struct.Struct("<i")
# A request comes with descriptors: calls, replies, where to say number and end, stderr, and the current folder.
_DESCRIPTORS = 5
# Seconds without a process or a request after which nobody is likely to need this one.
_LINGER = 30.0


def serve_forks(requests: socket.socket) -> None:
    """Fork a worker for each request and say how each ends, until the parent is gone or asks for no more."""
    ended, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    heard: list[socket.socket | int] = [requests, ended]
    # Where to say how a process ended.
    told: dict[int, int] = {}
    while True:
        ready, _, _ = select.select(heard, [], [], None if told else _LINGER)
        if ended in ready:
            os.read(ended, 4096)
            _bury(told)
        if requests in ready:
            request = _receive(requests)
            if request is None:
                return
            # Here and not in a function: a worker comes back from this call, and goes on with nothing of its parent's.
            environment, (calls, replies, status, stderr, folder) = request
            pid = os.fork()
            if pid == 0:
                requests.close()
                for descriptor in (ended, waker, *told.values(), status):
                    os.close(descriptor)
                _become_worker(environment, calls, replies, stderr, folder)
            for descriptor in (calls, replies, stderr, folder):
                os.close(descriptor)
            told[pid] = status
            _say(status, pid)
        if not ready and not told:
            # Before anything else: the parent is to see at once that nobody will answer.
            requests.close()
            return


def _receive(requests: socket.socket) -> tuple[dict[str, str], list[int]] | None:
    """The next request; None where there will be none."""
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


def _bury(told: dict[int, int]) -> None:
    """Say of each process that has ended how it did."""
    while told:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        descriptor = told.pop(pid)
        _say(descriptor, os.waitstatus_to_exitcode(status))
        os.close(descriptor)


def _say(descriptor: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(descriptor, CODE.pack(number))


def _become_worker(environment: dict[str, str], calls: int, replies: int, stderr: int, folder: int) -> NoReturn:
    """Be what a new process would be: with a session, folder, environment and random numbers of its own."""
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
        np.random.seed()  # noqa: NPY002 - what `fun` may draw from without a seed; a copy of the state would repeat it
        asked = os.fdopen(calls, "rb")
        sys.path[:], sys.argv[:] = pickle.load(asked)
        serve(asked, os.fdopen(replies, "wb"))
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
    finally:
        _end(code)


def _end(code: int) -> NoReturn:
    """End without going back to where the fork was."""
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            _flush(stream)
    os._exit(code)


def _flush(stream: Any) -> None:
    stream.flush()
