"""Caller of the package: the line of the user's program that a warning names."""

from __future__ import annotations

import sys
from types import FrameType

__all__ = ["stacklevel_outside"]


def stacklevel_outside() -> int:
    """Return the `stacklevel` with which `warnings.warn` names the caller of invopt.

    For a call of `warnings.warn` in the function that calls this one.
    """
    frame: FrameType | None = sys._getframe(1)
    level = 1
    while frame is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] == "invopt":
        frame, level = frame.f_back, level + 1
    return level
