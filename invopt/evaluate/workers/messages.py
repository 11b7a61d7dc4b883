"""Messages to and from workers: the problem, a call, its reply, a failure."""

from __future__ import annotations

import contextlib
import math
import pickle
import socket
import traceback
from typing import Any

import cloudpickle
import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from invopt.core.machine.turn import Ticket
from invopt.core.objective import ADJOINT, Adjoint

__all__ = ["Call", "Failure", "Payload", "Reply"]


@frozen(eq=False)
class Payload:
    """The problem that a worker opens, and what it needs of a process.

    Attributes
    ----------
    problem : bytes
        The problem, by cloudpickle.
    home : (str, int)
        Process of the run; see `held_objective.home`.
    ticket : str or None
        The run's turn, if it has one.
    exclusive : bool
        Whether one thread evaluates at a time.
    runtime : bytes
        The problem's runtime, by cloudpickle.
    host : str
        The machine of the run.
    """

    problem: bytes
    home: tuple[str, int]
    ticket: Ticket | None = None
    exclusive: bool = False
    runtime: bytes = b""
    host: str = field(factory=socket.gethostname)


@frozen(eq=False)
class Call:
    """A question to the open objective.

    Without a `name`, for a description of the objective.

    After `deadline`, in seconds of `time.time`, a call is not begun: executors and maps may hold calls in a queue that
    this process cannot reach.
    """

    index: int = 0
    name: str | None = None
    x: NDArray[np.float64] | None = None
    seed: Any = None
    spp: int | None = None
    deadline: float = math.inf
    adjoint: Adjoint = ADJOINT


@frozen(eq=False)
class Failure:
    """An exception to send: pickled if that is possible, and its message in any case."""

    kind: str
    message: str
    trace: str = ""
    error: bytes | None = None
    own: BaseException | None = None

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """An exception that can be sent."""
        try:
            # By value if its class is defined in the parent's main module or in a function.
            pickled: bytes | None = cloudpickle.dumps(error)
            pickle.loads(pickled)  # type: ignore[arg-type]
        except Exception:  # noqa: BLE001 - many exceptions cannot be pickled, or made again
            pickled = None
        return cls(type(error).__name__, str(error), "".join(traceback.format_exception(error)), pickled)

    @classmethod
    def here(cls, error: BaseException) -> Failure:
        """An exception that stays in this process, as it is."""
        return cls(type(error).__name__, str(error), own=error)

    def exception(self) -> BaseException:
        """The exception, or one of the same name; a note has the worker's traceback."""
        if self.own is not None:
            return self.own
        error: Any = None
        if self.error is not None:
            with contextlib.suppress(Exception):
                error = pickle.loads(self.error)
        known = isinstance(error, BaseException)
        found: BaseException = error if known else type(self.kind, (RuntimeError,), {})(self.message)
        found.add_note(f"in a worker:\n{self.trace}")
        return found


@frozen(eq=False)
class Reply:
    """Answer to the call of the same index.

    Attributes
    ----------
    value : object
        Answer of the objective.
    failure : Failure or None
        Exception that was raised instead.
    unopened : bool
        Whether it was raised when the problem was opened: then no evaluation can succeed there.
    late : bool
        Whether the call was not finished before the deadline.
    seconds : float
        Time of the evaluation.
    worker : str
        Host and number of the process.
    blind_spots : str
        What a derivative leaves out.
    """

    index: int = 0
    value: Any = None
    failure: Failure | None = None
    unopened: bool = False
    late: bool = False
    seconds: float = 0.0
    worker: str = ""
    blind_spots: str = ""
