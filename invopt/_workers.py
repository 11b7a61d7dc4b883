"""Evaluations shared out over processes: `workers` as a number, a map-like callable or an executor."""

from __future__ import annotations

import io
import logging
import math
import pickle
import time
from collections.abc import Callable, Iterable, Iterator
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
from invopt._pool import main_module
from invopt._problem import ADJOINT, Adjoint, Capability, Objective, Problem
from invopt._validators import as_integer, require
from invopt._worker import Call, Payload, Reply
from invopt.exceptions import IncompatibleError
from invopt.rendering.backend import ENVIRONMENT, Backend, foresee
from invopt.rendering.turn import one_at_a_time, ticket

__all__ = ["Chunk", "SharedObjective", "Workers", "as_workers", "check_shareable", "open_objective"]

Workers: TypeAlias = int | Executor | Callable[..., Iterable[Any]]
Chunk: TypeAlias = tuple[Tensor, NDArray[np.int64]]

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
    environment: dict[str, str] = {}
    with ExitStack() as stack:
        if problem.renders:
            if isinstance(workers, int) and workers > 1:
                workers, environment = _on_backend(problem, workers)
            if workers == 1 or not isinstance(workers, int):
                # An executor or a map may be one of threads. Processes of our own render for several runs at once.
                stack.enter_context(one_at_a_time())
            stack.enter_context(_one_torch_thread())
        problem.prepare()
        yield stack.enter_context(_open(problem, workers, environment))


def _on_backend(problem: Problem, workers: int) -> tuple[int, dict[str, str]]:
    """Number of processes that render, and what tells them the backend."""
    backend = foresee(getattr(problem, "backend", None))
    if backend is Backend.CUDA:
        _logger.warning("invopt: one process owns the GPU: workers=%d is reduced to 1", workers)
        workers = 1
    return workers, {ENVIRONMENT: backend.value}


def _open(problem: Problem, workers: Workers, environment: dict[str, str]) -> Objective:
    if isinstance(workers, int) and workers == 1:
        return problem.open()
    if _worker.loading_main():
        raise _worker.StopMain
    payload = Payload(pickle.dumps(problem), _worker.home(), ticket(), problem.renders)
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

    def share(self, name: str, chunks: list[Chunk], spp: int | None, deadline: float) -> Iterator[Tensor | None]:
        """Results of method `name`, a chunk each, in order; None or none for those not begun before the deadline."""
        until = time.time() + deadline - time.perf_counter()
        calls = [Call(i, name, rows.numpy(), seeds, spp, until) for i, (rows, seeds) in enumerate(chunks)]
        for reply in self._engine.replies(calls, deadline):
            yield None if reply.late else torch.from_numpy(_value(reply))

    def _ask(self, name: str, x: Any, seed: Any = None, spp: int | None = None, adjoint: Adjoint = ADJOINT) -> Any:
        point = x.numpy() if isinstance(x, Tensor) else np.asarray(x)
        call = Call(0, name, point, seed, spp, adjoint=adjoint)
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
        return self._differentiated("value_and_jac", x, seed, spp, adjoint)

    def item_value_and_jac(
        self, x: Tensor, *, seed: int, spp: int | None = None, adjoint: Adjoint = ADJOINT
    ) -> tuple[float, Tensor]:
        """Value and derivative for one item of a chain, likewise."""
        return self._differentiated("item_value_and_jac", x, seed, spp, adjoint)

    def _differentiated(
        self, name: str, x: Tensor, seed: int, spp: int | None, adjoint: Adjoint
    ) -> tuple[float, Tensor]:
        value, jac, self._blind_spots = self._ask(name, x, seed, spp, adjoint=adjoint)
        return value, torch.from_numpy(jac)

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
            if not isinstance(self._engine, PoolEngine):
                # A map or an executor of threads had it opened in this very process.
                _worker.release(self._payload.problem)


def _value(reply: Reply) -> Any:
    if reply.failure is not None:
        raise reply.failure.exception()
    return reply.value
