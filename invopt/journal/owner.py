"""Which process writes a run, and whether it is still there."""

from __future__ import annotations

import os
import socket
import uuid

from invopt.core.machine.processes import began, runs

__all__ = ["acquire", "is_alive", "release"]

_SEPARATOR = "|"
# Runs that this process writes now.
_held: set[str] = set()


def acquire() -> str:
    """A name for a run that this process writes."""
    pid = os.getpid()
    name = _SEPARATOR.join((socket.gethostname(), str(pid), began(pid), uuid.uuid4().hex))
    _held.add(name)
    return name


def release(name: str) -> None:
    """Forget a name of `acquire`."""
    _held.discard(name)


def is_alive(name: str | None) -> bool:
    """Whether the owner of a name still writes: a process of this machine that began when the name says."""
    if name is None:
        return False
    parts = name.split(_SEPARATOR)
    if len(parts) != 4 or not parts[1].isdecimal() or parts[0] != socket.gethostname():
        # Of another machine: a file that is open there cannot be shared with this one.
        return False
    pid = int(parts[1])
    if pid == os.getpid():
        return name in _held
    return runs(pid) and began(pid) == parts[2]
