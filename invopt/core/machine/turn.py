"""Threads take turns with what a process can do only one at a time: to render, for the whole length of a run."""

from __future__ import annotations

import logging
import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Ticket", "one_at_a_time", "ticket", "use", "using"]

# Name of a turn that somebody holds; a thread with the ticket may evaluate.
Ticket = str

_logger = logging.getLogger("invopt.rendering")
# Seconds of waiting after which it is said once what is waited for.
_PATIENCE = 10.0


class _Turn:
    """Who may evaluate in this process, of those that take turns."""

    def __init__(self) -> None:
        # Not an RLock: the tickets say who may enter again, and they can be handed to another thread.
        self.lock = threading.Lock()
        self.holder: Ticket | None = None
        self.mine = threading.local()


_turn = _Turn()


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold the turn for a block or, as a decorator, for a call; within a turn of this thread it does nothing."""
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
    """The ticket of this thread, to be handed to threads that work for it while it waits for them."""
    held: Ticket | None = getattr(_turn.mine, "ticket", None)
    return held


def use(lent: Ticket | None) -> None:
    """Work, in this thread, for the one whose ticket this is; a ticket whose turn is over is worth nothing."""
    _turn.mine.ticket = lent


@contextmanager
def using(lent: Ticket | None) -> Iterator[None]:
    """Work for another thread until the end of the block."""
    before = ticket()
    use(lent)
    try:
        yield
    finally:
        use(before)


def _wait_for(lock: threading.Lock) -> None:
    if lock.acquire(timeout=_PATIENCE):
        return
    _logger.warning(
        "invopt: this thread waits for another one to end its run: a process renders one thing at a time. If that run "
        "itself waits for this thread, as in a callback that joins it, call minimize in the callback's own thread"
    )
    lock.acquire()


def _note_fork() -> None:
    global _turn
    # The thread that held the turn lives in the parent only.
    _turn = _Turn()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)
