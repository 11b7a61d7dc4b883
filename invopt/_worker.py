"""What runs in a worker process: one open objective, asked for values by a parent process."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import math
import os
import pickle
import queue
import socket
import sys
import threading
import time
import traceback
import types
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from attrs import field, frozen
from numpy.typing import NDArray

from invopt._problem import ADJOINT, Adjoint, Objective
from invopt.exceptions import BackendError
from invopt.rendering.backend import active, set_threads
from invopt.rendering.turn import Ticket, one_at_a_time, using

__all__ = [
    "Call",
    "Failure",
    "Main",
    "Payload",
    "Reply",
    "StopMain",
    "evaluate",
    "evaluate_all",
    "load",
    "loading_main",
    "release",
]


@frozen(eq=False)
class Payload:
    """The problem to open, the process whose run it is, and the run's turn with the renderer, if it holds it."""

    problem: bytes
    home: tuple[str, int]
    ticket: Ticket | None = None
    renders: bool = False
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
    """An exception: itself where it can be pickled, what it says in any case."""

    kind: str
    message: str
    trace: str
    error: bytes | None

    def exception(self) -> Exception:
        """The exception, or one of the same name, with its traceback as a note."""
        error: Any = None
        if self.error is not None:
            with contextlib.suppress(Exception):
                error = pickle.loads(self.error)
        found: Exception = error if isinstance(error, Exception) else type(self.kind, (RuntimeError,), {})(self.message)
        found.add_note(f"in a worker:\n{self.trace}")
        return found


@frozen(eq=False)
class Reply:
    """Answer to the call of the same index."""

    index: int = 0
    value: Any = None
    failure: Failure | None = None
    late: bool = False


class Main(NamedTuple):
    """Where the parent's main module came from: a module's name, else a script's path."""

    name: str | None
    path: str | None


class StopMain(BaseException):
    """Ends the main module, loaded a second time in a worker, where it would start workers of its own."""


class _Held(NamedTuple):
    problem: bytes
    objective: Objective


# Executors may call from several threads, but one process has one open objective.
_lock = threading.Lock()
_held: _Held | None = None
_here = uuid.uuid4().hex
_forked_with_renderer = False
_main: Main | None = None
_loading_main = False


def home() -> tuple[str, int]:
    """What tells this process from any other, on this machine or another, forked or not."""
    return _here, os.getpid()


def evaluate(payload: Payload, call: Call) -> Reply:
    """Answer a call in this process; its objective stays open for the next one."""
    # The turn first and then the lock, everywhere: a call that a finished run left behind waits for its turn, and must
    # not keep the run whose turn it is from its objective.
    turn = one_at_a_time() if payload.renders else contextlib.nullcontext()
    with using(payload.ticket if payload.home == home() else None), turn, _lock:
        # Clocks of other machines may differ.
        if time.time() >= call.deadline and payload.host == socket.gethostname():
            return Reply(call.index, late=True)
        try:
            return Reply(call.index, _answer(_opened(payload), call))
        except Exception as error:  # noqa: BLE001 - it is the parent's to raise
            return Reply(call.index, failure=_failure(error))


def evaluate_all(payload: Payload, calls: Sequence[Call]) -> list[Reply]:
    """Answer the calls of a message."""
    return [evaluate(payload, call) for call in calls]


def release(problem: bytes | None = None) -> None:
    """Close the open objective of this process, if there is one (and it is that of `problem`)."""
    global _held
    with _lock:
        if _held is not None and problem in (None, _held.problem):
            held, _held = _held, None
            held.objective.close()


def _opened(payload: Payload) -> Objective:
    global _held
    if _held is not None and _held.problem == payload.problem:
        return _held.objective
    if _held is not None:
        held, _held = _held, None
        held.objective.close()
    if _forked_with_renderer:
        raise BackendError(
            "a process forked from one that renders cannot render; give ProcessPoolExecutor "
            "mp_context=multiprocessing.get_context('spawn')"
        )
    if payload.home != home():
        # As many processes as cores, each with as many threads, would wait for each other.
        set_threads(1, 1)
    _held = _Held(payload.problem, load(payload.problem).open())
    return _held.objective


def _answer(objective: Objective, call: Call) -> Any:
    if call.name is None:
        return {"chunk_size": objective.chunk_size, "reference": objective.reference}
    if call.name == "image":
        return objective.image(np.asarray(call.x), seed=call.seed, spp=call.spp)
    # Torch aligns what it allocates; sums over rows that begin anywhere could differ in their last bits.
    x = torch.from_numpy(call.x).clone()
    if call.name.endswith("value_and_jac"):
        differentiate = getattr(objective, call.name)
        value, jac = differentiate(x, seed=call.seed, spp=call.spp, adjoint=call.adjoint)
        return value, jac.detach().cpu().numpy(), objective.blind_spots
    options = {"spp": call.spp} if call.name.endswith(("fun", "residuals")) else {}
    value = getattr(objective, call.name)(x, seed=call.seed, **options)
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value


def _failure(error: Exception) -> Failure:
    try:
        pickled: bytes | None = pickle.dumps(error)
        pickle.loads(pickled)  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001 - many exceptions cannot be pickled, or made again
        pickled = None
    trace = "".join(traceback.format_exception(error))
    return Failure(type(error).__name__, str(error), trace, pickled)


def _note_fork() -> None:
    global _held, _lock, _forked_with_renderer
    # Another thread of the parent may have held the lock; its objective lives in the parent only.
    _held, _lock = None, threading.Lock()
    _forked_with_renderer = active() is not None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


# The main module


def load(problem: bytes) -> Any:
    """Unpickle a problem; only one that needs the parent's main module has it loaded here."""
    return _Unpickler(io.BytesIO(problem)).load()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module == "__main__" and _main is not None:
            _load_main(_main)
        return super().find_class(module, name)


def loading_main() -> bool:
    """Whether the parent's main module is being loaded in this worker."""
    return _loading_main


def _load_main(main: Main) -> None:
    """Run the parent's main module under the name that `multiprocessing` too gives it, so that guards hold."""
    global _main, _loading_main
    module = types.ModuleType("__mp_main__")
    if main.name is not None:
        spec = importlib.util.find_spec(main.name)
        if spec is None or spec.loader is None:
            raise ImportError(f"the main module {main.name!r} cannot be found")
        code = spec.loader.get_code(main.name)  # type: ignore[attr-defined]
        module.__spec__, module.__package__, module.__file__ = spec, spec.parent, spec.origin
    else:
        assert main.path is not None
        code = compile(Path(main.path).read_bytes(), main.path, "exec")
        module.__file__ = main.path
    sys.modules["__main__"] = sys.modules["__mp_main__"] = module
    _main, _loading_main = None, True
    try:
        exec(code, module.__dict__)
    except (StopMain, SystemExit):
        # Whatever the run needs was defined before it began.
        pass
    finally:
        _loading_main = False


# The process


def serve() -> None:
    """Answer calls from stdin until it ends; what an objective prints goes to stderr."""
    global _main
    calls = sys.stdin.buffer
    with os.fdopen(os.dup(1), "wb") as replies:
        os.dup2(2, 1)
        payload, _main = pickle.load(calls)
        inbox: queue.Queue[Sequence[Call] | None] = queue.Queue()
        threading.Thread(target=_listen, args=(calls, inbox), daemon=True).start()
        # The parent gone, there is nobody to tell.
        with contextlib.suppress(BrokenPipeError):
            while (received := inbox.get()) is not None:
                reply = pickle.dumps(evaluate_all(payload, received), protocol=pickle.HIGHEST_PROTOCOL)
                inbox.task_done()
                replies.write(reply)
                replies.flush()
        release()


def _listen(calls: BinaryIO, inbox: queue.Queue[Sequence[Call] | None]) -> None:
    """Hand calls over; end the process where the parent is gone and the call at work may never return."""
    with contextlib.suppress(EOFError, OSError, pickle.UnpicklingError):
        while True:
            inbox.put(pickle.load(calls))
    if inbox.unfinished_tasks:
        os._exit(1)
    inbox.put(None)
