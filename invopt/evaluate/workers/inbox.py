"""Inbox: replies that come in any order and from any thread.

A callback is called at once for each.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future

from invopt.evaluate.workers.messages import Reply

__all__ = ["Inbox", "OnReply"]

OnReply = Callable[[Reply], None]


class Inbox:
    """Collects the results of futures.

    Parameters
    ----------
    on_reply : callable or None
        ``on_reply(reply)`` is called once for each reply that is not late, before the reply can be taken; calls never
        overlap.

    Attributes
    ----------
    moved : float
        Time of the last reply, on the clock of `time.monotonic`.
    """

    def __init__(self, on_reply: OnReply | None) -> None:
        self._on_reply = on_reply
        self._found: dict[int, Reply | BaseException] = {}
        self._changed = threading.Condition()
        self._open = True
        self._awaited = -1
        self.moved = time.monotonic()

    def put(self, i: int, future: Future[Reply]) -> None:
        """Keep the result of a future; `add_done_callback` of the future calls this."""
        if future.cancelled():
            self.settle(i, CancelledError())
            return
        error = future.exception()
        self.settle(i, future.result() if error is None else error)

    def settle(self, i: int, found: Reply | BaseException) -> None:
        """Keep the reply to call `i`, or the exception instead of it.

        The first one kept stays.
        """
        with self._changed:
            if not self._open or i in self._found:
                return
            self._found[i] = self._after_callback(found)
            self.moved = time.monotonic()
            if i == self._awaited:
                self._changed.notify_all()

    def _after_callback(self, found: Reply | BaseException) -> Reply | BaseException:
        if self._on_reply is not None and isinstance(found, Reply) and not found.late:
            try:
                self._on_reply(found)
            except BaseException as error:  # noqa: BLE001 - raised where the reply is taken
                return error
        return found

    def holds(self, i: int) -> bool:
        """Whether the reply to call `i` has come."""
        return i in self._found

    def wait(self, i: int, timeout: float) -> bool:
        """Wait at most `timeout` seconds for the reply to call `i`.

        Returns whether it has come.
        """
        if i in self._found:
            return True
        with self._changed:
            # Other replies wake no thread: that would cost more than a cheap `fun`.
            self._awaited = i
            return self._changed.wait_for(lambda: i in self._found, timeout)

    def take(self, i: int) -> Reply:
        """The reply to call `i`; its exception is raised."""
        with self._changed:
            found = self._found[i]
        if isinstance(found, BaseException):
            raise found
        return found

    def close(self) -> None:
        """Ignore later replies; a call of `on_reply` that has begun ends first."""
        with self._changed:
            self._open = False
