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
from pathlib import Path
from typing import Any

import numpy  # noqa: F401
import scipy.optimize
import scipy.special  # noqa: F401
import torch  # noqa: F401

NUMBER = struct.Struct("<i")
# Of a request: stdin, stdout, stderr, where to say the process's number and how it ended, then any that it keeps.
OWN_DESCRIPTORS, MOST_DESCRIPTORS, MOST_BYTES = 4, 16, 1 << 20


def serve(number: int) -> Any:
    """Fork a process for each request, and return its program in that process."""
    # Before any program can change the path of imports.
    import programs  # noqa: F401

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
            _watch(descriptors[OWN_DESCRIPTORS - 1])
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
    body, controls, _, _ = requests.recvmsg(MOST_BYTES, socket.CMSG_SPACE(MOST_DESCRIPTORS * found.itemsize))
    if not body:
        return None
    for _, _, data in controls:
        found.frombytes(data)
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
    """Set up the process as Python does; return the code to run."""
    further = _placed(descriptors, facts["kept"])
    if facts["new_session"]:
        os.setsid()
    os.chdir(facts["folder"])
    os.environ.clear()
    os.environ.update(facts["environment"])
    added = facts["environment"].get("PYTHONPATH", "")
    sys.path[:] = dict.fromkeys([*filter(None, added.split(os.pathsep)), *sys.path[1:]])
    module = sys.modules["__main__"]
    for name in [name for name in vars(module) if not name.startswith("__")]:
        delattr(module, name)
    if further is not None:
        sys.modules["programs"].fork_fork_servers(further)
    return _code(module, *facts["arguments"])


def _placed(descriptors: list[int], kept: list[int]) -> socket.socket | None:
    """Give descriptors their numbers; return the socket for requests of the program's own."""
    own = dict(zip(range(3), descriptors, strict=False)) | dict(zip(kept, descriptors[OWN_DESCRIPTORS:], strict=False))
    # Above all numbers that are wanted.
    above = max([*own, *descriptors]) + 1
    moved = {target: os.dup2(source, above + i, inheritable=True) for i, (target, source) in enumerate(own.items())}
    further = descriptors[OWN_DESCRIPTORS + len(kept) :]
    requests = os.dup2(further[0], above + len(own), inheritable=False) if further else None
    for descriptor in {*descriptors} - {descriptors[OWN_DESCRIPTORS - 1]}:
        os.close(descriptor)
    for target, source in moved.items():
        os.dup2(source, target, inheritable=True)
        os.close(source)
    return None if requests is None else socket.socket(fileno=requests)


def _code(module: Any, first: str, *rest: str) -> Any:
    """Code for the arguments of Python."""
    if first == "-c":
        code, *arguments = rest
        sys.path.insert(0, "")
        sys.argv[:] = ["-c", *arguments]
        return compile(code, "<string>", "exec", dont_inherit=True)
    if first == "-m":
        name, *arguments = rest
        sys.path.insert(0, os.getcwd())
        sys.argv[:] = ["-m", *arguments]
        return compile(f"import runpy; runpy._run_module_as_main({name!r})", "<string>", "exec", dont_inherit=True)
    sys.path.insert(0, os.path.dirname(os.path.abspath(first)))
    sys.argv[:] = [first, *rest]
    module.__file__ = first
    return compile(Path(first).read_bytes(), first, "exec", dont_inherit=True)
