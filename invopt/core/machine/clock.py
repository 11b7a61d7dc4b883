"""Seconds of a run, those of the calls before it that it goes on from included."""

from __future__ import annotations

import time

__all__ = ["Clock"]


class Clock:
    """Counts from when the run began; set forward where it goes on with one that has run before."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    def __call__(self) -> float:
        """Seconds since the run began."""
        return time.perf_counter() - self._began

    def at_least(self, seconds: float) -> float:
        """Set the clock forward to `seconds`, unless it is later; returns by how much it was set."""
        before = self._began
        self._began = min(before, time.perf_counter() - seconds)
        return before - self._began

    def deadline(self, seconds: float) -> float:
        """When the clock will show `seconds`, on the clock of `time.perf_counter`."""
        return self._began + seconds
