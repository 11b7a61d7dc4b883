"""Other processes of this machine: whether they run, and since when."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["began", "runs"]

# Field 22 of /proc/PID/stat, counted from 0 after pid and name (proc(5), "starttime").
_START_TIME = 19


def runs(pid: int) -> bool:
    """Return whether a process with this number exists."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        # It exists, and belongs to another user.
        return True
    return True


def began(pid: int) -> str:
    """Return when a process began, in kernel ticks; empty if unknown.

    Process numbers are reused, the time is not.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    # Zombie and dead processes have ended.
    return "ended" if fields[0] in "ZX" else fields[_START_TIME]
