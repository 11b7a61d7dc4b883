"""Clock: seconds of a run, including those of earlier calls that it continues."""

from __future__ import annotations

import time

__all__ = ["Clock"]


class Clock:
    """Seconds since a run began; set forward when the run continues an earlier one."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    def __call__(self) -> float:
        """Seconds since the run began."""
        return time.perf_counter() - self._began

    def at_least(self, seconds: float) -> float:
        """Set the clock forward to `seconds` unless it shows more.

        Returns the seconds added.
        """
        before = self._began
        self._began = min(before, time.perf_counter() - seconds)
        return before - self._began

    def deadline(self, seconds: float) -> float:
        """Return the time of `time.perf_counter` at which this clock shows `seconds`."""
        return self._began + seconds
