"""Process of a pool: replies to requests that come through a pipe until it ends."""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import threading
from collections.abc import Sequence
from typing import Any, BinaryIO, TypeAlias

from invopt.evaluate.processes.service import Service

__all__ = ["BOOT", "serve"]

# First code of the process. Requests come through a descriptor that programs started by the service do not inherit: a
# program that reads stdin finds its end, not the requests. Replies leave through a descriptor of their own: what a
# service prints goes to stderr.
BOOT = (
    "import os, pickle, sys; requests, replies = os.fdopen(os.dup(0), 'rb'), os.fdopen(os.dup(1), 'wb'); "
    "null = os.open(os.devnull, os.O_RDONLY); os.dup2(null, 0); os.close(null); os.dup2(2, 1); "
    "sys.path[:], sys.argv[:] = pickle.load(requests); "
    "from invopt.evaluate.processes.server import serve; serve(requests, replies)"
)
_Inbox: TypeAlias = "queue.Queue[Sequence[Any] | None]"


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Open the service, then send each reply as soon as it is done, until None comes."""
    with replies:
        _keep_from_forks(requests.fileno(), replies.fileno())
        service: Service = pickle.load(requests)
        inbox: _Inbox = queue.Queue()
        # Opening counts as work: if the parent ends meanwhile, so does this process.
        inbox.unfinished_tasks = 1
        threading.Thread(target=_listen, args=(requests, inbox), daemon=True).start()
        # Without a parent nobody reads the replies.
        with contextlib.suppress(BrokenPipeError):
            _send(service.open(), replies, inbox, last=True)
            while (received := inbox.get()) is not None:
                for left, request in zip(range(len(received) - 1, -1, -1), received, strict=True):
                    _send(service.answer(request), replies, inbox, last=left == 0)
        service.close()


def _send(reply: Any, replies: BinaryIO, inbox: _Inbox, *, last: bool) -> None:
    """Send a reply; `last` if it completes a message."""
    data = pickle.dumps(reply, protocol=pickle.HIGHEST_PROTOCOL)
    if last:
        # Before the reply is sent: the parent may end the process as soon as it has it.
        inbox.task_done()
    replies.write(data)
    replies.flush()


def _listen(requests: BinaryIO, inbox: _Inbox) -> None:
    """Put requests into the inbox.

    If the parent is gone, end a process at work, which may never return.
    """
    with contextlib.suppress(EOFError, OSError, pickle.UnpicklingError):
        while (received := pickle.load(requests)) is not None:
            inbox.put(received)
    if inbox.unfinished_tasks:
        _end_with_children()
    inbox.put(None)


def _end_with_children() -> None:
    """End this process and the programs that it has started."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


def _keep_from_forks(*pipes: int) -> None:
    """Close these pipes in forks of this process.

    With an end open in a fork, the parent would not see that this process died.
    """

    def let_go() -> None:
        null = os.open(os.devnull, os.O_RDWR)
        for pipe in pipes:
            os.dup2(null, pipe, inheritable=False)
        os.close(null)

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=let_go)
