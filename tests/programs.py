"""Programs of tests: each runs in a process of its own, as by `python -c`, without importing torch once more."""

from __future__ import annotations

import array
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

HERE = str(Path(__file__).parent)
BOOT = "import sys; sys.path[0] = sys.argv[2]; from python_server import serve; exec(serve(int(sys.argv[1])))"


def run_program(
    program: str,
    *arguments: str,
    flags: tuple[str, ...] = (),
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 120.0,
    check: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run ``python flags -c program arguments`` and capture what it prints.

    On Linux the process is forked from one that has imported torch, numpy and scipy, and nothing else; that takes a
    tenth of the time. Programs whose claim is about starting an interpreter do not belong here.
    """
    environment = dict(os.environ if env is None else env)
    folder = str(Path(cwd or ".").resolve())
    command = [sys.executable, *flags, "-c", program, *arguments]
    if sys.platform != "linux":
        return subprocess.run(
            command, cwd=folder, env=environment, timeout=timeout, check=check, capture_output=True, text=True
        )
    facts = {"program": program, "arguments": arguments, "folder": folder, "environment": environment}
    with (
        open(os.devnull) as nothing,
        tempfile.TemporaryFile("w+", encoding="utf-8") as out,
        tempfile.TemporaryFile("w+", encoding="utf-8") as err,
    ):
        code = _run(flags, facts, [nothing.fileno(), out.fileno(), err.fileno()], timeout)
        out.seek(0)
        err.seek(0)
        done = subprocess.CompletedProcess(command, code or 0, out.read(), err.read())
    if code is None:
        raise subprocess.TimeoutExpired(command, timeout, done.stdout, done.stderr)
    if check:
        done.check_returncode()
    return done


def _run(flags: tuple[str, ...], facts: dict[str, object], descriptors: list[int], timeout: float) -> int | None:
    """How the process ended; None if it had to be ended."""
    reader, writer = os.pipe()
    try:
        body = pickle.dumps(facts)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [*descriptors, writer]))]
        server = _server(flags)
        server.sendmsg([len(body).to_bytes(8, "little")], rights)
        server.sendall(body)
    finally:
        os.close(writer)
    with open(reader, "rb", buffering=0) as status:
        # The time of the program alone: the first one waits for the imports.
        pid = _number(status.read(4))
        ready, _, _ = select.select([status], [], [], timeout)
        if not ready:
            os.kill(pid, signal.SIGKILL)
            status.read(4)
            return None
        return _number(status.read(4))


def _number(data: bytes) -> int:
    if len(data) < 4:
        raise RuntimeError("the process that forks programs has died")
    return int.from_bytes(data, "little", signed=True)


@cache
def _server(flags: tuple[str, ...]) -> socket.socket:
    """Where to ask; the process ends when this one does."""
    ours, theirs = socket.socketpair()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    # Threads of torch that wait leave the cores to others.
    environment.setdefault("OMP_WAIT_POLICY", "passive")
    with theirs:
        process = subprocess.Popen(
            [sys.executable, *flags, "-c", BOOT, str(theirs.fileno()), HERE],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env=environment,
            start_new_session=True,
        )
    # Not waited for: kept, so that nothing warns of it.
    _PROCESSES.append(process)
    return ours


_PROCESSES: list[subprocess.Popen[bytes]] = []
