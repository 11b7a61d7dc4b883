"""Evaluations shared out over processes: `workers` as a number, a map-like callable or an executor."""

from __future__ import annotations

import io
import logging
import math
import pickle
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, TypeAlias

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invopt import _worker
from invopt._engines import FutureEngine, MapEngine, PoolEngine
from invopt._objective import ADJOINT, Adjoint, Capability, Objective
from invopt._outcome import UNLIMITED, Arrived, Chunk, Limits, Outcome
from invopt._pool import main_module
from invopt._problem import Problem
from invopt._validators import as_integer, require
from invopt._worker import Call, Payload, Reply
from invopt.exceptions import IncompatibleError
from invopt.rendering.backend import ENVIRONMENT, Backend, foresee

__all__ = ["SharedObjective", "Workers", "as_workers", "check_shareable", "open_objective"]

Workers: TypeAlias = int | Executor | Callable[..., Iterable[Any]]

_logger = logging.getLogger("invopt.workers")


def as_workers(workers: Any) -> Workers:
    """Return `workers` validated; None stands for 1."""
    if workers is None:
        return 1
    if isinstance(workers, type) and issubclass(workers, Executor):
        raise TypeError(f"'workers' must be an instance, not a class: write {workers.__name__}(...)")
    if isinstance(workers, Executor) or callable(workers):
        shared: Workers = workers
        return shared
    if hasattr(workers, "get_executor"):
        raise TypeError(f"'workers' must be an executor: pass {type(workers).__name__}(...).get_executor()")
    if isinstance(workers, bool) or not isinstance(workers, int | np.integer):
        raise TypeError(f"'workers' must be an integer, a map-like callable or an Executor: {workers!r}")
    count = as_integer("workers", workers)
    require("workers", count >= 1, ">= 1", workers)
    return count


def check_shareable(problem: Problem, needs: Capability) -> None:
    """Refuse, before anything is started, what cannot be evaluated in another process."""
    if Capability.SIDES in needs:
        raise IncompatibleError("SIDES cannot be shared out: leave 'workers' out")
    try:
        pickled = pickle.dumps(problem)
    except Exception as error:  # noqa: BLE001 - whatever pickle or a class of the user's raises
        raise TypeError(
            f"{_culprit(problem)} cannot be sent to workers ({error}): use functions and classes defined at the top "
            f"level of a module, functools.partial for their arguments, or leave 'workers' out"
        ) from None
    if main_module() is None and _names_main(pickled):
        raise TypeError(
            f"{_culprit(problem, _needs_main)} is defined interactively, where no worker can import it from: write it "
            f"to a module, or leave 'workers' out"
        )


def _culprit(problem: Problem, is_bad: Callable[[Any], bool] | None = None) -> str:
    bad = is_bad or _cannot_be_pickled
    kind = type(problem).__name__
    if attrs.has(type(problem)):
        for field in attrs.fields(type(problem)):
            if bad(getattr(problem, field.name, None)):
                return f"'{field.alias or field.name}' of {kind}"
    return f"'problem' ({kind})"


def _cannot_be_pickled(value: Any) -> bool:
    try:
        pickle.dumps(value)
    except Exception:  # noqa: BLE001 - as above
        return True
    return False


def _needs_main(value: Any) -> bool:
    return _names_main(pickle.dumps(value))


def _names_main(pickled: bytes) -> bool:
    class Unpickler(pickle.Unpickler):
        found = False

        def find_class(self, module: str, name: str) -> Any:
            self.found |= module == "__main__"
            return super().find_class(module, name)

    unpickler = Unpickler(io.BytesIO(pickled))
    unpickler.load()
    return unpickler.found


@contextmanager
def open_objective(problem: Problem, workers: Workers = 1) -> Iterator[Objective]:
    """Open a problem's objective in this process, or one a worker, until the end of the block."""
    with ExitStack() as stack:
        if problem.renders:
            stack.enter_context(_one_torch_thread())
        yield stack.enter_context(_open(problem, workers))


def _open(problem: Problem, workers: Workers) -> Objective:
    environment = {}
    if isinstance(workers, int):
        if workers > 1 and problem.renders:
            backend = foresee(getattr(problem, "backend", None))
            environment[ENVIRONMENT] = backend.value
            if backend is Backend.CUDA:
                _logger.warning("invopt: one process owns the GPU: workers=%d is reduced to 1", workers)
                workers = 1
        if workers == 1:
            return problem.open()
    if _worker.loading_main():
        raise _worker.StopMain
    payload = Payload(pickle.dumps(problem), _worker.home())
    if isinstance(workers, int):
        return SharedObjective(payload, PoolEngine(payload, workers, environment))
    if isinstance(workers, Executor):
        submit: Callable[..., Any] = workers.submit
        return SharedObjective(payload, FutureEngine(partial(submit, _worker.evaluate_all, payload)))
    return SharedObjective(payload, MapEngine(workers, payload))


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    """Leave the cores to the renderer; the bits of a long sum also depend on the number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class SharedObjective(Objective):
    """Stands for the objectives that workers hold open; values come back in the order of the points.

    Parameters
    ----------
    payload : Payload
        The problem.
    engine : object
        What carries calls to workers.
    """

    def __init__(self, payload: Payload, engine: MapEngine | FutureEngine) -> None:
        self._payload = payload
        self._engine = engine
        self._blind_spots = ""
        try:
            description = _value(engine.start())
        except BaseException:
            self.close()
            raise
        self.chunk_size = description["chunk_size"]
        self.reference = description["reference"]

    def evaluate(
        self,
        name: str,
        chunks: Sequence[Chunk],
        *,
        spp: int | None = None,
        limits: Limits = UNLIMITED,
        adjoint: Adjoint = ADJOINT,
        arrived: Arrived | None = None,
    ) -> Generator[Outcome | None]:
        """Have the chunks evaluated by whoever is free."""
        until = time.time() + limits.deadline - time.perf_counter()
        calls = [Call(i, name, rows.numpy(), seeds, spp, until, adjoint) for i, (rows, seeds) in enumerate(chunks)]
        for i, reply in enumerate(self._engine.replies(calls, limits.deadline)):
            if reply.late:
                yield None
                continue
            outcome = self._outcome(reply)
            if arrived is not None:
                arrived(i, outcome)
            yield outcome

    def _outcome(self, reply: Reply) -> Outcome:
        if reply.failure is not None:
            return Outcome(None, reply.failure.exception(), reply.seconds, reply.worker)
        self._blind_spots = reply.blind_spots
        return Outcome(torch.from_numpy(reply.value), None, reply.seconds, reply.worker)

    def _ask(self, name: str, x: Any, seed: Any = None, spp: int | None = None) -> Any:
        point = x.numpy() if isinstance(x, Tensor) else np.asarray(x)
        call = Call(0, name, point, seed, spp)
        return _value(next(self._engine.replies([call], math.inf)))

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Values at all rows, by one worker."""
        return torch.from_numpy(self._ask("fun", x, seed, spp))

    def residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Residuals at all rows, by one worker."""
        return torch.from_numpy(self._ask("residuals", x, seed, spp))

    def jac(self, x: Tensor, *, seed: int) -> Tensor:
        """Derivative, by one worker."""
        return torch.from_numpy(self._ask("jac", x, seed))

    def value_and_jac(
        self, x: Tensor, *, seed: int, spp: int | None = None, adjoint: Adjoint = ADJOINT
    ) -> tuple[float, Tensor]:
        """Value and derivative in one go, by one worker, whose blind spots are then known."""
        (outcome,) = self.evaluate("value_and_jac", [Chunk(x[None], np.array([seed]))], spp=spp, adjoint=adjoint)
        assert outcome is not None
        if outcome.failure is not None:
            raise outcome.failure
        assert outcome.values is not None
        return float(outcome.values[0, 0]), outcome.values[0, 1:]

    @property
    def blind_spots(self) -> str:
        """What the last derivative is known to leave out."""
        return self._blind_spots

    def hess(self, x: Tensor, *, seed: int) -> Tensor:
        """Hessian, by one worker."""
        return torch.from_numpy(self._ask("hess", x, seed))

    def image(self, x: NDArray[np.float64], *, seed: int = 0, spp: int | None = None) -> NDArray[Any] | None:
        """Picture, by one worker."""
        picture: NDArray[Any] | None = self._ask("image", x, seed, spp)
        return picture

    def close(self) -> None:
        """End what was started for this run."""
        try:
            self._engine.close()
        finally:
            # A map or an executor of threads had it opened in this very process.
            _worker.release(self._payload.problem)


def _value(reply: Reply) -> Any:
    if reply.failure is not None:
        raise reply.failure.exception()
    return reply.value
