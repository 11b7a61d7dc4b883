"""Replies as they come in, in any order and from any thread, told at once and handed out in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future

from invopt.evaluate.workers.payload import Reply

__all__ = ["Inbox", "Told"]

Told = Callable[[Reply], None]


class Inbox:
    """Collects the results of futures.

    Parameters
    ----------
    told : callable or None
        ``told(reply)`` once for each reply that is not late, before the reply can be taken; never twice at a time.

    Attributes
    ----------
    moved : float
        When the last reply came in, on the clock of `time.monotonic`.
    """

    def __init__(self, told: Told | None) -> None:
        self._told = told
        self._found: dict[int, Reply | BaseException] = {}
        self._changed = threading.Condition()
        self._open = True
        self._awaited = -1
        self.moved = time.monotonic()

    def put(self, i: int, future: Future[Reply]) -> None:
        """Keep what a future has come to; its `add_done_callback` calls this."""
        if future.cancelled():
            self.settle(i, CancelledError())
            return
        error = future.exception()
        self.settle(i, future.result() if error is None else error)

    def settle(self, i: int, found: Reply | BaseException) -> None:
        """Keep the reply to call `i`, or why there is none, unless something is kept already."""
        with self._changed:
            if not self._open or i in self._found:
                return
            self._found[i] = self._after_telling(found)
            self.moved = time.monotonic()
            if i == self._awaited:
                self._changed.notify_all()

    def _after_telling(self, found: Reply | BaseException) -> Reply | BaseException:
        if self._told is not None and isinstance(found, Reply) and not found.late:
            try:
                self._told(found)
            except BaseException as error:  # noqa: BLE001 - raised where the reply is waited for
                return error
        return found

    def holds(self, i: int) -> bool:
        """Whether the reply to call `i` is there."""
        return i in self._found

    def wait(self, i: int, timeout: float) -> bool:
        """Wait until the reply to call `i` is there; whether it is."""
        if i in self._found:
            return True
        with self._changed:
            # Nobody is woken for others: that costs more than many a `fun`.
            self._awaited = i
            return self._changed.wait_for(lambda: i in self._found, timeout)

    def take(self, i: int) -> Reply:
        """The reply to call `i`, or its exception raised."""
        with self._changed:
            found = self._found[i]
        if isinstance(found, BaseException):
            raise found
        return found

    def close(self) -> None:
        """Take in nothing more, once what is being told is told."""
        with self._changed:
            self._open = False
