"""Chunks of points that an objective evaluates, and their outcomes.

Time limits apply to them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.machine.threads import own_threads

__all__ = ["UNLIMITED", "Arrived", "Chunk", "Limits", "Outcome", "in_order"]


class Chunk(NamedTuple):
    """Points of one call of an objective.

    Attributes
    ----------
    rows : Tensor, shape (k, n)
        Points, float64 on the CPU, in the problem's own units.
    seeds : ndarray of int64, shape (k,)
        Seed of each row.
    """

    rows: Tensor
    seeds: NDArray[np.int64]


@frozen(kw_only=True)
class Limits:
    """Deadline of evaluations, and the time that each may take.

    Attributes
    ----------
    deadline : float
        On the clock of `time.perf_counter`. No chunk begins after it, and workers end chunks that are not finished.
    timeout : float
        Seconds that a chunk may take in a worker; in this process an evaluation cannot be ended.
    """

    deadline: float = math.inf
    timeout: float = math.inf


UNLIMITED = Limits()


@frozen(eq=False)
class Outcome:
    """Result of evaluating a chunk.

    Attributes
    ----------
    values : Tensor, shape (k,) or (k, m), or None
        Values, residuals, or values beside derivatives; None if the evaluation failed.
    failure : Exception or None
        The exception raised, or a timeout; from a worker, its traceback there is a note of the exception.
    seconds : float
        Duration of the chunk where it was evaluated.
    worker : str
        Host and process that evaluated it; empty for this process.
    """

    values: Tensor | None
    failure: Exception | None
    seconds: float
    worker: str = ""


Arrived: TypeAlias = Callable[[int, Outcome], None]


def in_order(
    ask: Callable[[Chunk], Tensor], chunks: Sequence[Chunk], limits: Limits, arrived: Arrived | None
) -> Generator[Outcome | None]:
    """Evaluate chunks in order in this process, until the deadline.

    Parameters
    ----------
    ask : callable
        ``ask(chunk) -> Tensor``.
    chunks : sequence of Chunk
        Points and seeds.
    limits : Limits
        No chunk begins after the deadline.
    arrived : callable or None
        ``arrived(i, outcome)`` before the outcome of chunk i is yielded.

    Yields
    ------
    Outcome
    """
    for i, chunk in enumerate(chunks):
        began = time.perf_counter()
        if began >= limits.deadline:
            return
        values, failure = None, None
        try:
            with own_threads():
                values = ask(chunk)
        except Exception as error:  # noqa: BLE001 - the caller decides what it means
            failure = error
        outcome = Outcome(values, failure, time.perf_counter() - began)
        if arrived is not None:
            arrived(i, outcome)
        yield outcome
