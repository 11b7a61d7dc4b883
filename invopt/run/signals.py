"""Signals: SIGTERM ends a run as Ctrl-C does.

Clusters send SIGTERM before they kill a job.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["terminated_like_interrupted", "undisturbed"]


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Raise `KeyboardInterrupt` at SIGTERM until the end of the block.

    A program's own handler stays in place. Python handles signals in the main thread only: in any other thread nothing
    changes.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore Ctrl-C and SIGTERM during the block.

    In it a run that has ended writes its files. A program's own handlers stay, and threads other than the main one
    receive no signals.
    """
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    main = threading.current_thread() is threading.main_thread()
    held = {number: handler for number, handler in usual.items() if main and signal.getsignal(number) == handler}
    for number in held:
        signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
