"""Pace: how often a display is drawn."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Pace"]

# Seconds between two drawings at least, and largest share of the time that drawing takes.
_INTERVAL, _SHARE = 1.0, 0.1


class Pace:
    """At most one drawing a second, and at most a tenth of the time for them.

    Parameters
    ----------
    clock : callable, optional
        Seconds, as `time.perf_counter`.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._next = -float("inf")

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next drawing."""
        return self._clock() >= self._next

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Time a drawing during a block."""
        began = self._clock()
        yield
        ended = self._clock()
        self._next = ended + max(_INTERVAL, (ended - began) * (1 / _SHARE - 1))
