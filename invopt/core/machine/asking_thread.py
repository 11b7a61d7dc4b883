"""AskingThread: a thread that alternates with its owner.

It runs only while its owner waits for its next request.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from invopt.core.machine import turn

__all__ = ["AskingThread"]


class _Abandoned(BaseException):
    """Signal that ends the thread when its owner closes it.

    It is not an Exception, so that ``except Exception`` does not catch it.
    """


class AskingThread:
    """Thread that runs ``target(ask)`` and asks its owner.

    In it, ``ask(request)`` passes the request to the owner and waits. It turns code that calls a function for values
    into code that is asked for its next request. Owner and thread strictly alternate, so nothing runs concurrently and
    no lock is needed. The thread uses the owner's turn of the renderer, if the owner holds it.

    Parameters
    ----------
    target : callable
        ``target(ask) -> result``.
    """

    def __init__(self, target: Callable[[Callable[[Any], Any]], Any]) -> None:
        self._turn = threading.Semaphore(0)
        self._yielded = threading.Semaphore(0)
        self._request: Any = None
        self._reply: Any = None
        self._ticket: turn.Ticket | None = None
        self._abandoned = False
        self.done = False
        self._result: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(target,), daemon=True)

    def _run(self, target: Callable[[Callable[[Any], Any]], Any]) -> None:
        try:
            self._resume()
            self._result = target(self.ask)
        except _Abandoned:
            pass
        except BaseException as error:  # noqa: BLE001 - raised in the owner's thread
            self._error = error
        finally:
            self.done = True
            self._yielded.release()

    @property
    def inside(self) -> bool:
        """Whether the calling code runs in this thread."""
        return threading.current_thread() is self._thread

    def ask(self, request: Any) -> Any:
        """In the thread: pass a request to the owner and wait for the reply."""
        self._request = request
        self._yielded.release()
        self._resume()
        return self._reply

    def _resume(self) -> None:
        """In the thread: wait for the owner."""
        self._turn.acquire()
        if self._abandoned:
            raise _Abandoned
        turn.use(self._ticket)

    def send(self, reply: Any = None) -> Any:
        """Answer the last request (None at first) and return the next; None once `done`."""
        if self._thread.ident is None:
            self._thread.start()
        self._reply, self._ticket = reply, turn.ticket()
        self._turn.release()
        self._yielded.acquire()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return None if self.done else self._request

    @property
    def result(self) -> Any:
        """Return value of the target."""
        return self._result

    def close(self) -> None:
        """End the thread; has no effect if it is done or was never started."""
        if self._thread.ident is not None and not self.done:
            self._abandoned = True
            self._turn.release()
            self._thread.join()
