"""A process of our own pool: answers calls that come through a pipe until it ends."""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import threading
from collections.abc import Sequence
from typing import BinaryIO

from invopt.evaluate.workers.payload import Call, Payload, evaluate, release

__all__ = ["BOOT", "serve"]

# What the process runs first. Calls come through a descriptor that programs started by `fun` do not inherit: one that
# reads stdin finds its end, not the calls. Replies leave through one of their own: what an objective prints goes to
# stderr.
BOOT = (
    "import os, pickle, sys; calls, replies = os.fdopen(os.dup(0), 'rb'), os.fdopen(os.dup(1), 'wb'); "
    "null = os.open(os.devnull, os.O_RDONLY); os.dup2(null, 0); os.close(null); os.dup2(2, 1); "
    "sys.path[:], sys.argv[:] = pickle.load(calls); "
    "from invopt.evaluate.workers.server import serve; serve(calls, replies)"
)


def serve(calls: BinaryIO, replies: BinaryIO) -> None:
    """Answer calls, each as soon as it is done, until None comes."""
    with replies:
        _keep_from_forks(calls.fileno(), replies.fileno())
        payload: Payload = pickle.load(calls)
        inbox: queue.Queue[Sequence[Call] | None] = queue.Queue()
        threading.Thread(target=_listen, args=(calls, inbox), daemon=True).start()
        # The parent gone, there is nobody to tell.
        with contextlib.suppress(BrokenPipeError):
            while (received := inbox.get()) is not None:
                _answer(payload, received, replies, inbox)
        release()


def _answer(
    payload: Payload, received: Sequence[Call], replies: BinaryIO, inbox: queue.Queue[Sequence[Call] | None]
) -> None:
    for left, call in zip(range(len(received) - 1, -1, -1), received, strict=True):
        reply = pickle.dumps(evaluate(payload, call), protocol=pickle.HIGHEST_PROTOCOL)
        if left == 0:
            # Before the last reply: the parent may end the process as soon as it has that.
            inbox.task_done()
        replies.write(reply)
        replies.flush()


def _listen(calls: BinaryIO, inbox: queue.Queue[Sequence[Call] | None]) -> None:
    """Hand calls over; end the process where the parent is gone and the call at work may never return."""
    with contextlib.suppress(EOFError, OSError, pickle.UnpicklingError):
        while (received := pickle.load(calls)) is not None:
            inbox.put(received)
    if inbox.unfinished_tasks:
        _end_with_children()
    inbox.put(None)


def _end_with_children() -> None:
    """End this process and the programs that `fun` has started."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


def _keep_from_forks(*pipes: int) -> None:
    """Have processes forked by `fun` hold no end of these pipes: the parent would never see that this one has died."""

    def let_go() -> None:
        null = os.open(os.devnull, os.O_RDWR)
        for pipe in pipes:
            os.dup2(null, pipe, inheritable=False)
        os.close(null)

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=let_go)
