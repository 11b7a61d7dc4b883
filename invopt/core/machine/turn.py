"""Turns of threads with the renderer.

One run of a process can use it at a time.
"""

from __future__ import annotations

import logging
import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Ticket", "one_at_a_time", "ticket", "use", "using"]

# Name of a turn; the thread that has the ticket of the present turn may evaluate.
Ticket = str

_logger = logging.getLogger("invopt.rendering")
# Seconds of waiting after which a warning is logged, once, because the wait may be a deadlock.
_SECONDS_UNTIL_WARNING = 10.0


class _Turn:
    """Which thread of this process may evaluate."""

    def __init__(self) -> None:
        # Not an RLock, because a ticket can be passed to another thread, which may then enter again.
        self.lock = threading.Lock()
        self.holder: Ticket | None = None
        self.mine = threading.local()


_turn = _Turn()


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold the turn for a block or, as a decorator, for a call.

    It has no effect within a turn of this thread.
    """
    turn = _turn
    if turn.holder is not None and ticket() == turn.holder:
        yield
        return
    before, own = ticket(), uuid.uuid4().hex
    _wait_for(turn.lock)
    turn.holder = turn.mine.ticket = own
    try:
        yield
    finally:
        turn.holder, turn.mine.ticket = None, before
        turn.lock.release()


def ticket() -> Ticket | None:
    """Return the ticket of this thread.

    It is for threads that work for this one while it waits for them.
    """
    held: Ticket | None = getattr(_turn.mine, "ticket", None)
    return held


def use(lent: Ticket | None) -> None:
    """Let this thread use another thread's ticket.

    A ticket whose turn is over has no effect.
    """
    _turn.mine.ticket = lent


@contextmanager
def using(lent: Ticket | None) -> Iterator[None]:
    """Use another thread's ticket until the end of the block."""
    before = ticket()
    use(lent)
    try:
        yield
    finally:
        use(before)


def _wait_for(lock: threading.Lock) -> None:
    if lock.acquire(timeout=_SECONDS_UNTIL_WARNING):
        return
    _logger.warning(
        "invopt: this thread waits until the run of another thread has ended, because only one run of a process can "
        "render at a time. If that run itself waits for this thread, as a callback that joins it does, call minimize "
        "in the callback's own thread"
    )
    lock.acquire()


def _note_fork() -> None:
    global _turn
    # The thread that held the turn exists in the parent only.
    _turn = _Turn()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)
