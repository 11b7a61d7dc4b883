"""What runs in a worker: one open objective a process, asked for values by a parent process."""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import socket
import threading
import time
import traceback
import uuid
from typing import Any, NamedTuple

import cloudpickle
import numpy as np
import torch
from attrs import field, frozen
from numpy.typing import NDArray

from invopt.core.machine.turn import Ticket, one_at_a_time, using
from invopt.core.objective import ADJOINT, Adjoint, Objective, ask
from invopt.core.outcome import Chunk

__all__ = ["Call", "Failure", "Payload", "Reply", "evaluate", "home", "release"]


@frozen(eq=False)
class Payload:
    """The problem to open, and what it needs of a process.

    Attributes
    ----------
    problem : bytes
        The problem, by cloudpickle.
    home : (str, int)
        The process whose run it is.
    ticket : str or None
        That run's turn, if it has one.
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
    """What to ask the open objective for; without a `name`, for a description of itself.

    After `deadline`, in seconds of `time.time`, it is not begun: some executors and maps queue calls out of our reach.
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
    """An exception: itself where it can be pickled, or was made in this process; what it says in any case."""

    kind: str
    message: str
    trace: str = ""
    error: bytes | None = None
    own: BaseException | None = None

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """An exception ready to travel."""
        try:
            # By value where the parent's main module, or a function, defines its class.
            pickled: bytes | None = cloudpickle.dumps(error)
            pickle.loads(pickled)  # type: ignore[arg-type]
        except Exception:  # noqa: BLE001 - many exceptions cannot be pickled, or made again
            pickled = None
        return cls(type(error).__name__, str(error), "".join(traceback.format_exception(error)), pickled)

    @classmethod
    def here(cls, error: BaseException) -> Failure:
        """An exception of this process, which stays in it."""
        return cls(type(error).__name__, str(error), own=error)

    def exception(self) -> BaseException:
        """The exception, or one of the same name, with its traceback as a note."""
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
        What was asked for.
    failure : Failure or None
        What was raised instead.
    unopened : bool
        Whether it was raised in opening the problem: then no evaluation can ever succeed there.
    late : bool
        Whether the call was not finished before the deadline.
    seconds, worker, blind_spots
        How long, where, and what a derivative leaves out.
    """

    index: int = 0
    value: Any = None
    failure: Failure | None = None
    unopened: bool = False
    late: bool = False
    seconds: float = 0.0
    worker: str = ""
    blind_spots: str = ""


class _Held(NamedTuple):
    problem: bytes
    objective: Objective


# Executors may call from several threads, but one process has one open objective.
_lock = threading.Lock()
_held: _Held | None = None
# The problem to close once the evaluation at work has ended: a run that has ended does not wait for it.
_left: bytes | None = None
_here = uuid.uuid4().hex


def home() -> tuple[str, int]:
    """What tells this process from any other, on this machine or another, forked or not."""
    return _here, os.getpid()


def evaluate(payload: Payload, call: Call) -> Reply:
    """Answer a call in this process; its objective stays open for the next one."""
    # The turn first and then the lock, everywhere: a call that a finished run left behind waits for its turn, and must
    # not keep the run whose turn it is from its objective.
    turn = one_at_a_time() if payload.exclusive else contextlib.nullcontext()
    with using(payload.ticket if payload.home == home() else None), turn, _lock:
        # Clocks of other machines may differ.
        if time.time() >= call.deadline and payload.host == socket.gethostname():
            reply = Reply(call.index, late=True)
        else:
            reply = _replied(payload, call)
        if _left is not None:
            _close(_left)
        return reply


def _replied(payload: Payload, call: Call) -> Reply:
    objective, began = None, time.perf_counter()
    found: dict[str, Any] = {"worker": f"{socket.gethostname()}:{os.getpid()}"}
    try:
        objective = _opened(payload)
        began = time.perf_counter()
        found["value"] = _answer(objective, call)
        if call.name is not None and call.name.endswith("value_and_jac"):
            found["blind_spots"] = objective.blind_spots
    except BaseException as error:  # noqa: BLE001 - it is the parent's to raise, SystemExit too
        found |= {"failure": Failure.of(error), "unopened": objective is None}
    return Reply(call.index, seconds=time.perf_counter() - began, **found)


def release(problem: bytes | None = None) -> None:
    """Close the open objective of this process, if there is one (and it is that of `problem`).

    Where an evaluation is at work that nobody waits for any more, it is closed when that ends.
    """
    global _left
    if not _lock.acquire(blocking=False):
        _left = problem
        return
    try:
        _close(problem)
    finally:
        _lock.release()


def _close(problem: bytes | None) -> None:
    global _held, _left
    _left = None
    if _held is not None and problem in (None, _held.problem):
        held, _held = _held, None
        held.objective.close()


def _opened(payload: Payload) -> Objective:
    global _held, _left
    _left = None
    if _held is not None and _held.problem == payload.problem:
        return _held.objective
    _close(None)
    if payload.home != home():
        pickle.loads(payload.runtime).enter_worker()
    _held = _Held(payload.problem, pickle.loads(payload.problem).open())
    return _held.objective


def _answer(objective: Objective, call: Call) -> Any:
    if call.name is None:
        return {"chunk_size": objective.chunk_size, "reference": objective.reference}
    if call.name == "image":
        return objective.image(np.asarray(call.x), seed=call.seed, spp=call.spp)
    # Torch aligns what it allocates; sums over rows that begin anywhere could differ in their last bits.
    x = torch.from_numpy(call.x).clone()
    if call.name == "jac":
        return objective.jac(x, seed=call.seed).detach().cpu().numpy()
    chunk = Chunk(x, np.asarray(call.seed))
    return ask(objective, call.name, chunk, spp=call.spp, adjoint=call.adjoint).detach().cpu().numpy()


def _note_fork() -> None:
    global _held, _left, _lock
    # Another thread of the parent may have held the lock; its objective lives in the parent only.
    _held, _left, _lock = None, None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)
