"""What carries calls to workers: a map-like callable, an executor, a pool of our own."""

from __future__ import annotations

import concurrent.futures
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from invopt._pool import PULSE, Pool
from invopt._worker import Call, Payload, Reply, evaluate
from invopt.exceptions import EvaluationError

__all__ = ["FutureEngine", "MapEngine", "PoolEngine"]

# Calls of a message: what is evaluated again if a process dies over it.
_LONGEST = 8


class MapEngine:
    """Calls through a map-like callable; an eager one takes all calls at once."""

    def __init__(self, mapping: Callable[..., Iterable[Any]], payload: Payload) -> None:
        self._map = mapping
        self._evaluate = partial(evaluate, payload)

    def start(self) -> Reply:
        """Have the problem opened, and described."""
        return next(self.replies([Call()], math.inf))

    def replies(self, calls: Iterable[Call], deadline: float) -> Iterator[Reply]:
        """Replies in order; fewer if the deadline passes before all calls are made."""
        given = 0

        def until_deadline() -> Iterator[Call]:
            nonlocal given
            for call in calls:
                if time.perf_counter() >= deadline:
                    return
                given += 1
                yield call

        got = 0
        for got, reply in enumerate(self._map(self._evaluate, until_deadline()), start=1):
            if not isinstance(reply, Reply) or reply.index != got - 1:
                raise EvaluationError("'workers' must return the results of func, in the order of the iterable")
            yield reply
        if got != given:
            raise EvaluationError(f"'workers' must return a result for each of {given} elements, got {got}")

    def close(self) -> None:
        """Nothing of ours to close."""


class FutureEngine:
    """Calls through a function that takes several in one message, and returns a future."""

    def __init__(self, submit: Callable[[Sequence[Call]], Future[list[Reply]]]) -> None:
        self._submit = submit

    def start(self) -> Reply:
        """Have the problem opened, and described."""
        return next(self.replies([Call()], math.inf))

    def replies(self, calls: Iterable[Call], deadline: float) -> Iterator[Reply]:
        """Replies in order; fewer if the deadline passes before all calls are begun."""
        futures: deque[Future[list[Reply]]] = deque()
        try:
            for message in self._messages(list(calls)):
                if time.perf_counter() >= deadline:
                    break
                futures.append(self._begin(message))
            while futures:
                self._wait(futures, deadline)
                yield from self._replies(futures.popleft(), deadline)
        finally:
            for future in reversed(futures):
                future.cancel()

    def _messages(self, calls: list[Call]) -> Iterable[Sequence[Call]]:
        """One call each: only the executor knows how many it answers at a time."""
        return [(call,) for call in calls]

    def _begin(self, message: Sequence[Call]) -> Future[list[Reply]]:
        try:
            return self._submit(message)
        except RuntimeError as error:
            # Shut down, or broken.
            raise EvaluationError(f"the executor in 'workers' takes no more: {error}") from error

    @staticmethod
    def _replies(future: Future[list[Reply]], deadline: float) -> list[Reply]:
        if future.cancelled() and time.perf_counter() >= deadline:
            return [Reply(late=True)]
        try:
            return future.result()
        except (concurrent.futures.BrokenExecutor, concurrent.futures.CancelledError) as error:
            raise EvaluationError(f"the executor in 'workers' failed: {type(error).__name__}: {error}") from error

    def _wait(self, futures: deque[Future[list[Reply]]], deadline: float) -> None:
        first, called_off = futures[0], False
        while not first.done():
            left = deadline - time.perf_counter()
            if left <= 0 and not called_off:
                # Those that wait are called off, the last first; those that run are counted when they end.
                called_off = True
                for future in reversed(futures):
                    future.cancel()
            concurrent.futures.wait([first], timeout=min(left, PULSE) if left > 0 else PULSE)

    def close(self) -> None:
        """Leave the user's executor as it is."""


class PoolEngine(FutureEngine):
    """Calls through a pool of our own."""

    def __init__(self, payload: Payload, k: int, environment: dict[str, str]) -> None:
        self._pool = Pool(payload, k, environment)
        self._k = k
        super().__init__(self._pool.submit)

    def start(self) -> Reply:
        """Start all processes, each opening the problem."""
        return self._pool.start()

    def _messages(self, calls: list[Call]) -> Iterable[Sequence[Call]]:
        """As few as keep all processes busy: each message takes time, while its process waits."""
        size = max(math.ceil(len(calls) / self._k), 1)
        size = math.ceil(size / math.ceil(size / _LONGEST))
        return [calls[i : i + size] for i in range(0, len(calls), size)]

    def close(self) -> None:
        """End all processes."""
        self._pool.close()
