"""Engines: carry calls to a map-like callable, an executor or our own pool."""

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
from invopt.evaluate.processes.pool import PULSE, Pool
from invopt.evaluate.workers.held_objective import evaluate
from invopt.evaluate.workers.inbox import Inbox, OnReply
from invopt.evaluate.workers.messages import Call, Failure, Payload, Reply
from invopt.evaluate.workers.objective_service import ObjectiveService
from invopt.exceptions import EvaluationError, EvaluationTimeoutError

__all__ = ["Engine", "ExecutorEngine", "MapEngine", "PoolEngine"]

# Evaluations of fewer seconds are sent several to a message, and at most so many: a message costs 0.1 ms, and later
# ones of a message wait for the earlier ones. `tests/benchmarks/test_throughput.py` measures both.
_QUICK_SECONDS, _MAX_CALLS_OF_MESSAGE = 1e-2, 8
_STALLED = (
    "the evaluation did not end within 'timeout' = {:g} s after the last one that did; the executor in 'workers' may "
    "still be at it"
)


class MapEngine:
    """Calls through a map-like callable.

    One that is not lazy takes all calls at once.
    """

    def __init__(self, mapping: Callable[..., Iterable[Any]], payload: Payload) -> None:
        self._map = mapping
        self._evaluate = partial(evaluate, payload)

    def start(self) -> Reply:
        """Have the problem opened; the reply describes its objective."""
        return next(self.replies([Call()], UNLIMITED))

    def replies(self, calls: Sequence[Call], limits: Limits, on_reply: OnReply | None = None) -> Generator[Reply]:
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
            if on_reply is not None and not reply.late:
                on_reply(reply)
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
        """Do nothing: the callable belongs to the user."""


class _FutureEngine(abc.ABC):
    """Calls as futures, one for each."""

    def __init__(self) -> None:
        # Seconds of the last evaluation.
        self._seconds = math.inf

    def replies(self, calls: Sequence[Call], limits: Limits, on_reply: OnReply | None = None) -> Generator[Reply]:
        """Replies in order, each passed to `on_reply` as soon as it comes.

        Late ones if the deadline passes before.
        """
        inbox, futures = Inbox(on_reply), list[Future[Reply]]()
        try:
            for message in self._messages(calls):
                if time.perf_counter() >= limits.deadline:
                    break
                for future in self._submit(message, limits.timeout):
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
        """Groups of calls that are handed over together."""

    @abc.abstractmethod
    def _submit(self, message: Sequence[Call], timeout: float) -> list[Future[Reply]]:
        """Hand calls over, which may take `timeout` seconds each; a future for each."""

    @abc.abstractmethod
    def _call_off(self, futures: list[Future[Reply]]) -> None:
        """End evaluations at work if that is possible: the deadline has passed."""

    @abc.abstractmethod
    def _end_overdue(self, futures: list[Future[Reply]], inbox: Inbox, timeout: float) -> float:
        """End evaluations that have taken too long, if that is possible.

        Returns in how many seconds to look again.
        """


class ExecutorEngine(_FutureEngine):
    """Calls through an executor of the user; evaluations in it cannot be ended.

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
        """Have the problem opened; the reply describes its objective."""
        return next(self.replies([Call()], UNLIMITED))

    def _messages(self, calls: Sequence[Call]) -> Iterable[Sequence[Call]]:
        """One call to a message: only the executor knows how many it answers at a time."""
        return [(call,) for call in calls]

    def _submit(self, message: Sequence[Call], timeout: float) -> list[Future[Reply]]:
        try:
            return [self._executor.submit(evaluate, self._payload, call) for call in message]
        except RuntimeError as error:
            # The executor is shut down, or broken.
            raise EvaluationError(f"the executor in 'workers' takes no more: {error}") from error

    def _call_off(self, futures: list[Future[Reply]]) -> None:
        for future in reversed(futures):
            future.cancel()

    def _end_overdue(self, futures: list[Future[Reply]], inbox: Inbox, timeout: float) -> float:
        """Give up the first call and those that run, if none has ended for so long.

        When one began is not known.
        """
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
        """Do nothing: the executor belongs to the user."""


class PoolEngine(_FutureEngine):
    """Calls through our own pool of processes.

    Parameters
    ----------
    payload : Payload
        The problem.
    k : int
        Number of processes.
    environment : mapping of str
        Environment variables to add.
    """

    def __init__(self, payload: Payload, k: int, environment: Mapping[str, str]) -> None:
        super().__init__()
        self._pool = Pool(ObjectiveService(payload), k, environment)
        self._k = k

    def start(self) -> Reply:
        """Start all processes, each of which opens the problem.

        The first description, or the first failure.
        """
        replies: list[Reply] = self._pool.start()
        return next((reply for reply in replies if reply.failure is not None), replies[0])

    def _messages(self, calls: Sequence[Call]) -> Iterable[Sequence[Call]]:
        """Few messages if evaluations are quick, but at least one for each process.

        Else one call to a message.
        """
        size = max(math.ceil(len(calls) / self._k), 1) if self._seconds < _QUICK_SECONDS else 1
        size = math.ceil(size / math.ceil(size / _MAX_CALLS_OF_MESSAGE))
        return [calls[i : i + size] for i in range(0, len(calls), size)]

    def _submit(self, message: Sequence[Call], timeout: float) -> list[Future[Reply]]:
        return self._pool.submit(message, timeout)

    def _call_off(self, futures: list[Future[Reply]]) -> None:
        for future in reversed(futures):
            future.cancel()
        self._pool.end_all()

    def _end_overdue(self, futures: list[Future[Reply]], inbox: Inbox, timeout: float) -> float:
        return min(self._pool.end_overdue(), timeout)

    def close(self) -> None:
        """End all processes."""
        self._pool.close()


Engine = MapEngine | ExecutorEngine | PoolEngine
