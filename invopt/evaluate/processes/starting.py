"""Starts and ends operating-system processes of a pool."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TypeAlias

from attrs import frozen

from invopt.evaluate.processes.forked import ForkedProcess, can_fork
from invopt.evaluate.processes.server import BOOT
from invopt.evaluate.processes.service import Service

__all__ = ["Process", "Setup", "close", "end", "start"]

Process: TypeAlias = "subprocess.Popen[bytes] | ForkedProcess"


@frozen(kw_only=True, eq=False)
class Setup:
    """How a process is started.

    Attributes
    ----------
    service : Service
        What it does.
    greeting : bytes
        What a new process reads first: paths and arguments, and the service.
    environment : dict of str
        Its environment variables.
    opening_timeout : float
        Seconds that opening the service may take.
    log : Path or None
        File that gets what it prints; None for stderr of this process.
    """

    service: Service
    greeting: bytes
    environment: dict[str, str]
    opening_timeout: float = math.inf
    log: Path | None = None


def start(setup: Setup) -> Process:
    """Start a process: forked if this system allows it, else a new one."""
    with contextlib.nullcontext() if setup.log is None else _appended(setup.log) as log:
        return ForkedProcess(setup.environment, log) if can_fork() else _spawned(setup.environment, log)


def _appended(log: Path) -> IO[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    return log.open("ab")


def _spawned(environment: Mapping[str, str], log: IO[bytes] | None) -> subprocess.Popen[bytes]:
    """Start a new process, which imports what it needs."""
    return subprocess.Popen(
        # -P: a file in the current folder must not stand in for a module that the boot code imports.
        [sys.executable, "-P", "-c", BOOT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env=dict(environment),
        # Ctrl-C in a terminal is for the parent; and programs that the process starts can be ended with it.
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )


def end(process: Process) -> None:
    """Kill a process and the programs that it has started."""
    # Once it has been waited for, its number may belong to another process.
    if process.returncode is None and hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def close(process: Process) -> None:
    """Wait for the end of a process and close the pipes to it."""
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            if pipe is not None:
                pipe.close()
