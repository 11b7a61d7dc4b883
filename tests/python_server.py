"""A process that has imported what takes long, and forks others that run a program each: see `programs.py`.

It imports nothing of invopt: that is for the programs to do, as they would in an interpreter of their own.
"""

from __future__ import annotations

import array
import contextlib
import gc
import os
import pickle
import socket
import struct
import sys
import warnings
from typing import Any

import numpy  # noqa: F401
import scipy.optimize
import scipy.special
import scipy.stats  # noqa: F401
import torch  # noqa: F401

SIZE, NUMBER = struct.Struct("<Q"), struct.Struct("<i")
# Of a request: stdin, stdout, stderr, and where to say the process's number and how it ended.
DESCRIPTORS = 4


def serve(number: int) -> Any:
    """Fork a process for each request, and return its program in that process."""
    requests = socket.socket(fileno=number)
    # Programs collect their own garbage only: collections are shorter, and pages stay shared.
    gc.freeze()
    while True:
        request = _receive(requests)
        _bury(0 if request is None else os.WNOHANG)
        if request is None:
            sys.exit()
        facts, descriptors = request
        if _fork() == 0:
            requests.close()
            _watch(descriptors[-1])
            return _begin(facts, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _bury(options: int) -> None:
    """Reap processes that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, options)[0]:
            pass


def _fork() -> int:
    with warnings.catch_warnings():
        # Of the threads of BLAS, which starts them again by itself.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _receive(requests: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    found = array.array("i")
    start, controls, _, _ = requests.recvmsg(SIZE.size, socket.CMSG_SPACE(DESCRIPTORS * found.itemsize))
    if len(start) < SIZE.size:
        return None
    for _, _, data in controls:
        found.frombytes(data)
    (left,) = SIZE.unpack(start)
    body = bytearray()
    while len(body) < left:
        body += requests.recv(left - len(body))
    return pickle.loads(body), found.tolist()


def _watch(status: int) -> None:
    """Fork the program's process, report its exit code; return in that process."""
    pid = _fork()
    if pid == 0:
        os.close(status)
        return
    os.write(status, NUMBER.pack(pid))
    # What the program has open is not to be held open by who waits for it.
    os.closerange(0, status)
    os.closerange(status + 1, 1024)
    _, ended = os.waitpid(pid, 0)
    os.write(status, NUMBER.pack(os.waitstatus_to_exitcode(ended)))
    os._exit(0)


def _begin(facts: dict[str, Any], descriptors: list[int]) -> Any:
    """Set up the process as `python -c` does; return the compiled program."""
    for target, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, target)
        os.close(descriptor)
    os.chdir(facts["folder"])
    os.environ.clear()
    os.environ.update(facts["environment"])
    added = facts["environment"].get("PYTHONPATH", "")
    sys.path[:] = dict.fromkeys(["", *filter(None, added.split(os.pathsep)), *sys.path[1:]])
    sys.argv[:] = ["-c", *facts["arguments"]]
    namespace = sys.modules["__main__"].__dict__
    for name in [name for name in namespace if not name.startswith("__")]:
        del namespace[name]
    return compile(facts["program"], "<string>", "exec", dont_inherit=True)
