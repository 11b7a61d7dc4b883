"""The one objective that a process holds open, and calls to it."""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import threading
import time
import uuid
from typing import Any, NamedTuple

import numpy as np
import torch

from invopt.core.answers.asking import ask, checked_derivative
from invopt.core.machine.turn import one_at_a_time, using
from invopt.core.objective import Objective
from invopt.core.outcome import Chunk
from invopt.evaluate.workers.messages import Call, Failure, Payload, Reply

__all__ = ["evaluate", "home", "release"]


class _Held(NamedTuple):
    """An open objective, and the pickled problem that it belongs to."""

    problem: bytes
    objective: Objective


# Executors may call from several threads, but one process has one open objective.
_lock = threading.Lock()
_held: _Held | None = None
# Problem to close once the present evaluation has ended: a run that has ended does not wait for that.
_left: bytes | None = None
_here = uuid.uuid4().hex


def home() -> tuple[str, int]:
    """Identity of this process among all processes of all machines, forks included."""
    return _here, os.getpid()


def evaluate(payload: Payload, call: Call) -> Reply:
    """Answer a call in this process; the objective stays open for the next call."""
    # Always the turn first and then the lock: a call that a finished run left behind waits for its turn, and must not
    # hold the lock that the present run needs.
    turn = one_at_a_time() if payload.exclusive else contextlib.nullcontext()
    with using(payload.ticket if payload.home == home() else None), turn, _lock:
        # Only on the same machine: clocks of other machines may differ.
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
    except BaseException as error:  # noqa: BLE001 - raised in the parent, SystemExit too
        found |= {"failure": Failure.of(error), "unopened": objective is None}
    return Reply(call.index, seconds=time.perf_counter() - began, **found)


def release(problem: bytes | None = None) -> None:
    """Close the open objective of this process.

    With `problem`, only if it belongs to that.

    If an evaluation is still at work, which no run waits for, the objective is closed when it ends.
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
        return objective.described()
    if call.name == "image":
        return objective.image(np.asarray(call.x), seed=call.seed, spp=call.spp)
    # A copy, which torch aligns: sums over rows that begin anywhere in memory may differ in the last bits.
    x = torch.from_numpy(call.x).clone()
    if call.name == "jac":
        jac = checked_derivative("jac", objective.jac(x, seed=call.seed), tuple(x.shape))
        return jac.detach().cpu().numpy()
    chunk = Chunk(x, np.asarray(call.seed))
    return ask(objective, call.name, chunk, spp=call.spp, adjoint=call.adjoint).detach().cpu().numpy()


def _note_fork() -> None:
    global _held, _left, _lock
    # Another thread of the parent may have held the lock; the parent's objective does not work here.
    _held, _left, _lock = None, None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)
