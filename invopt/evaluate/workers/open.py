"""Opens a problem's objective in this process or in workers."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

import attrs
import cloudpickle

from invopt.core.formatting import shown
from invopt.core.machine.threads import one_thread
from invopt.core.machine.turn import one_at_a_time, ticket
from invopt.core.objective import Capability, Objective
from invopt.core.problem import Problem, has_weights
from invopt.core.validators import as_integer, as_real, require
from invopt.evaluate.workers.engines import ExecutorEngine, MapEngine, PoolEngine
from invopt.evaluate.workers.held_objective import home
from invopt.evaluate.workers.messages import Payload
from invopt.evaluate.workers.shared_objective import SharedObjective
from invopt.exceptions import IncompatibleError

__all__ = ["Workers", "as_timeout", "as_workers", "check_shareable", "open_objective"]

Workers: TypeAlias = int | Executor | Callable[..., Iterable[Any]]

# Largest number of workers: a mistyped one must not fill the memory with processes. Evaluations that wait for something
# else, such as an external program, can use several for each core.
_MAX_WORKERS_OF_ANY_MACHINE, _MAX_WORKERS_FOR_EACH_CORE = 64, 8


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
    try:
        count = as_integer("workers", workers)
    except TypeError:
        raise TypeError(f"'workers' must be an integer, a map-like callable or an Executor: {shown(workers)}") from None
    require("workers", count >= 1, ">= 1", workers)
    most = max(_MAX_WORKERS_OF_ANY_MACHINE, _MAX_WORKERS_FOR_EACH_CORE * (os.cpu_count() or 1))
    require("workers", count <= most, f"<= {most} on this machine, whose processes would not fit more", workers)
    return count


def as_timeout(timeout: Any, workers: Workers) -> float:
    """Return `timeout` validated, inf for None.

    An error if evaluations with these workers cannot be ended.
    """
    if timeout is None:
        return math.inf
    limit = as_real("timeout", timeout)
    require("timeout", limit > 0, "> 0", timeout)
    if workers == 1:
        raise IncompatibleError(
            f"'timeout' needs 'workers' = 2 or more: an evaluation in this process cannot be ended: {shown(timeout)}"
        )
    if not isinstance(workers, int | Executor):
        raise IncompatibleError(
            f"'timeout' needs 'workers' = 2 or more, or an Executor: what a map-like callable does cannot be ended: "
            f"{shown(timeout)}"
        )
    return limit


def check_shareable(problem: Problem, needs: Capability) -> None:
    """Refuse a problem that other processes cannot evaluate."""
    if Capability.SIDES in needs:
        raise IncompatibleError("SIDES cannot be evaluated by workers: leave out 'workers'")
    try:
        cloudpickle.dumps(problem)
    except Exception as error:  # noqa: BLE001 - whatever pickle or a class of the user raises
        raise TypeError(
            f"{_culprit(problem)} cannot be sent to workers ({error}): it, or what it refers to, holds something that "
            f"exists in this process only, such as an open file, a lock or a connection; open that where it is used, "
            f"or leave out 'workers'"
        ) from None


def _culprit(problem: Problem) -> str:
    """Name of the field that cannot be pickled, for a message."""
    kind = type(problem).__name__
    if attrs.has(type(problem)):
        for field in attrs.fields(type(problem)):
            if _cannot_be_pickled(getattr(problem, field.name, None)):
                return f"'{field.alias or field.name}' of {kind}"
    return f"'problem' ({kind})"


def _cannot_be_pickled(value: Any) -> bool:
    try:
        cloudpickle.dumps(value)
    except Exception:  # noqa: BLE001 - as above
        return True
    return False


@contextmanager
def open_objective(problem: Problem, workers: Workers = 1, timeout: float = math.inf) -> Iterator[Objective]:
    """Open a problem's objective here or in each worker, for a block.

    With a `timeout`, evaluations are in processes even for one worker, because only there they can be ended.
    """
    environment: Mapping[str, str] = {}
    with ExitStack() as stack:
        if isinstance(workers, int) and workers > 1:
            workers, environment = problem.runtime.processes(problem, workers)
        if problem.renders and (workers == 1 or not isinstance(workers, int)):
            # An executor or a map may use threads. Our own processes can render for several runs at once.
            stack.enter_context(one_at_a_time())
        stack.enter_context(one_thread(renders=problem.renders, weights=has_weights(problem)))
        problem.prepare()
        yield stack.enter_context(_open(problem, workers, timeout, environment))


def _open(problem: Problem, workers: Workers, timeout: float, environment: Mapping[str, str]) -> Objective:
    if isinstance(workers, int) and workers == 1 and timeout == math.inf:
        return problem.open()
    # cloudpickle sends functions and classes of the main module, of notebooks and of other functions by value.
    runtime = problem.runtime
    payload = Payload(cloudpickle.dumps(problem), home(), ticket(), runtime.exclusive, cloudpickle.dumps(runtime))
    if isinstance(workers, int):
        return SharedObjective(payload, PoolEngine(payload, workers, environment))
    if isinstance(workers, Executor):
        return SharedObjective(payload, ExecutorEngine(workers, payload))
    return SharedObjective(payload, MapEngine(workers, payload))
