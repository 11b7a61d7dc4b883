"""Owner of a run: name of the process that writes it; whether it still runs."""

from __future__ import annotations

import os
import socket
import uuid

from invopt.core.machine.processes import began, runs

__all__ = ["acquire", "is_alive", "release"]

_SEPARATOR = "|"
# Names of this process for the runs that it writes now.
_held: set[str] = set()


def acquire() -> str:
    """Return a new name of this process for a run that it writes."""
    pid = os.getpid()
    name = _SEPARATOR.join((socket.gethostname(), str(pid), began(pid), uuid.uuid4().hex))
    _held.add(name)
    return name


def release(name: str) -> None:
    """Give up a name that `acquire` returned."""
    _held.discard(name)


def is_alive(name: str | None) -> bool:
    """Whether the process of a name still runs here and still writes the run."""
    if name is None:
        return False
    parts = name.split(_SEPARATOR)
    if len(parts) != 4 or not parts[1].isdecimal() or parts[0] != socket.gethostname():
        # Of another machine, with which an open journal cannot be shared.
        return False
    pid = int(parts[1])
    if pid == os.getpid():
        return name in _held
    return runs(pid) and began(pid) == parts[2]
