"""Whether another process of this machine still runs."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["began", "runs"]


def runs(pid: int) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        # There is one, of another user.
        return True
    return True


def began(pid: int) -> str:
    """When a process began, in the kernel's ticks; empty where that is not told. Process numbers are used again."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    # A process that has ended and was not waited for does nothing more.
    return "ended" if fields[0] in "ZX" else fields[19]
