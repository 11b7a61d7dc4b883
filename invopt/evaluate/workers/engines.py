"""What carries calls to workers: a map-like callable, an executor, a pool of our own."""

from __future__ import annotations

import abc
import concurrent.futures
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any

from invopt.core.outcome import UNLIMITED, Limits
from invopt.evaluate.workers.inbox import Inbox, Told
from invopt.evaluate.workers.payload import Call, Failure, Payload, Reply, evaluate
from invopt.evaluate.workers.pool import PULSE, Pool
from invopt.exceptions import EvaluationError, EvaluationTimeoutError

__all__ = ["Engine", "ExecutorEngine", "MapEngine", "PoolEngine"]

# Calls of a message to a process of ours, where evaluations take less than this many seconds: a message costs 0.1 ms.
_LONGEST, _QUICK = 8, 1e-2
_STALLED = (
    "the evaluation did not end within 'timeout' = {:g} s after the last one that did; the executor in 'workers' may "
    "still be at it"
)


class MapEngine:
    """Calls through a map-like callable; an eager one takes all calls at once."""

    def __init__(self, mapping: Callable[..., Iterable[Any]], payload: Payload) -> None:
        self._map = mapping
        self._evaluate = partial(evaluate, payload)

    def start(self) -> Reply:
        """Have the problem opened, and described."""
        return next(self.replies([Call()], UNLIMITED))

    def replies(self, calls: Sequence[Call], limits: Limits, told: Told | None = None) -> Generator[Reply]:
        """Replies in order; fewer if the deadline passes before all calls are made."""
        given = 0

        def until_deadline() -> Iterator[Call]:
            nonlocal given
            for call in calls:
                if time.perf_counter() >= limits.deadline:
                    return
                given += 1
                yield call

        got = 0
        for got, reply in enumerate(self._answers(until_deadline()), start=1):
            if not isinstance(reply, Reply) or reply.index != got - 1:
                raise EvaluationError("'workers' must return the results of func, in the order of the iterable")
            if told is not None and not reply.late:
                told(reply)
            yield reply
        if got != given:
            raise EvaluationError(f"'workers' must return a result for each of {given} elements, got {got}")

    def _answers(self, calls: Iterator[Call]) -> Iterable[Any]:
        try:
            answers = self._map(self._evaluate, calls)
        except TypeError as error:
            if error.__traceback__ is None or error.__traceback__.tb_next is not None:
                raise
            raise EvaluationError(f"'workers' must be callable as workers(func, iterable): {error}") from None
        if not isinstance(answers, Iterable):
            raise EvaluationError(f"'workers' must return the results of func, got {type(answers).__name__}")
        return answers

    def close(self) -> None:
        """Nothing of ours to close."""


class _FutureEngine(abc.ABC):
    """Calls as futures, one each."""

    def __init__(self) -> None:
        # What the last evaluation took.
        self._seconds = math.inf

    def replies(self, calls: Sequence[Call], limits: Limits, told: Told | None = None) -> Generator[Reply]:
        """Replies in order, each told of as soon as it is there; late ones where the deadline passes before."""
        inbox, futures = Inbox(told), list[Future[Reply]]()
        try:
            for message in self._messages(calls):
                if time.perf_counter() >= limits.deadline:
                    break
                for future in self._submit(message):
                    future.add_done_callback(partial(inbox.put, len(futures)))
                    futures.append(future)
            for i in range(len(futures)):
                reply = self._wait(i, futures, inbox, limits)
                self._seconds = reply.seconds
                yield reply
        finally:
            inbox.close()
            for future in reversed(futures):
                future.cancel()

    def _wait(self, i: int, futures: list[Future[Reply]], inbox: Inbox, limits: Limits) -> Reply:
        pause = min(PULSE, limits.deadline - time.perf_counter())
        while not inbox.wait(i, pause):
            left = limits.deadline - time.perf_counter()
            if left <= 0:
                self._call_off(futures)
                return Reply(i, late=True)
            soonest = (
                left if limits.timeout == math.inf else min(left, self._end_overdue(futures, inbox, limits.timeout))
            )
            pause = min(PULSE, soonest)
        try:
            return inbox.take(i)
        except (concurrent.futures.BrokenExecutor, concurrent.futures.CancelledError) as error:
            if isinstance(error, concurrent.futures.CancelledError) and time.perf_counter() >= limits.deadline:
                return Reply(i, late=True)
            raise EvaluationError(f"the executor in 'workers' failed: {type(error).__name__}: {error}") from error

    @abc.abstractmethod
    def _messages(self, calls: Sequence[Call]) -> Iterable[Sequence[Call]]:
        """Calls that are handed over together."""

    @abc.abstractmethod
    def _submit(self, message: Sequence[Call]) -> list[Future[Reply]]:
        """Hand calls over; a future for each."""

    @abc.abstractmethod
    def _call_off(self, futures: list[Future[Reply]]) -> None:
        """The deadline has passed: end what is at work, as far as that can be."""

    @abc.abstractmethod
    def _end_overdue(self, futures: list[Future[Reply]], inbox: Inbox, timeout: float) -> float:
        """End what has taken too long, as far as that can be; in how many seconds to look again."""


class ExecutorEngine(_FutureEngine):
    """Calls through an executor of the user's, in which nothing can be ended.

    Parameters
    ----------
    executor : Executor
    payload : Payload
        The problem.
    """

    def __init__(self, executor: Executor, payload: Payload) -> None:
        super().__init__()
        self._executor = executor
        self._payload = payload

    def start(self) -> Reply:
        """Have the problem opened, and described."""
        return next(self.replies([Call()], UNLIMITED))

    def _messages(self, calls: Sequence[Call]) -> Iterable[Sequence[Call]]:
        """One call each: only the executor knows how many it answers at a time."""
        return [(call,) for call in calls]

    def _submit(self, message: Sequence[Call]) -> list[Future[Reply]]:
        try:
            return [self._executor.submit(evaluate, self._payload, call) for call in message]
        except RuntimeError as error:
            # Shut down, or broken.
            raise EvaluationError(f"the executor in 'workers' takes no more: {error}") from error

    def _call_off(self, futures: list[Future[Reply]]) -> None:
        for future in reversed(futures):
            future.cancel()

    def _end_overdue(self, futures: list[Future[Reply]], inbox: Inbox, timeout: float) -> float:
        """Give up the first call, and those that run, where none has ended for so long: when one began is not known."""
        left = inbox.moved + timeout - time.monotonic()
        if left > 0:
            return left
        waiting = [i for i in range(len(futures)) if not inbox.holds(i)]
        for i in waiting:
            if i == waiting[0] or futures[i].running():
                failure = Failure.here(EvaluationTimeoutError(_STALLED.format(timeout)))
                inbox.settle(i, Reply(i, failure=failure, seconds=timeout))
        return timeout

    def close(self) -> None:
        """Leave the user's executor as it is."""


class PoolEngine(_FutureEngine):
    """Calls through a pool of our own."""

    def __init__(self, payload: Payload, k: int, environment: Mapping[str, str]) -> None:
        super().__init__()
        self._pool = Pool(payload, k, environment)
        self._k = k

    def start(self) -> Reply:
        """Start all processes, each opening the problem."""
        return self._pool.start()

    def _messages(self, calls: Sequence[Call]) -> Iterable[Sequence[Call]]:
        """As few as keep all processes busy, where a message takes time that counts, while its process waits."""
        size = max(math.ceil(len(calls) / self._k), 1) if self._seconds < _QUICK else 1
        size = math.ceil(size / math.ceil(size / _LONGEST))
        return [calls[i : i + size] for i in range(0, len(calls), size)]

    def _submit(self, message: Sequence[Call]) -> list[Future[Reply]]:
        return self._pool.submit(message)

    def _call_off(self, futures: list[Future[Reply]]) -> None:
        for future in reversed(futures):
            future.cancel()
        self._pool.end_all()

    def _end_overdue(self, futures: list[Future[Reply]], inbox: Inbox, timeout: float) -> float:
        return self._pool.end_overdue(timeout)

    def close(self) -> None:
        """End all processes."""
        self._pool.close()


Engine = MapEngine | ExecutorEngine | PoolEngine
