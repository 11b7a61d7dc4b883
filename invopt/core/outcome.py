"""What is asked of an objective, a chunk of points at a time, and what comes of it."""

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
    """Points that an objective is handed at once.

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
    """Until when evaluations may begin and how long each may take.

    Attributes
    ----------
    deadline : float
        On the clock of `time.perf_counter`. No chunk is begun after it, and workers end those at work.
    timeout : float
        Seconds that a chunk may take in a worker; in this process nothing can end it.
    """

    deadline: float = math.inf
    timeout: float = math.inf


UNLIMITED = Limits()


@frozen(eq=False)
class Outcome:
    """What came of a chunk.

    Attributes
    ----------
    values : Tensor, shape (k,) or (k, m), or None
        Values, residuals, or values beside derivatives; None if the evaluation failed.
    failure : Exception or None
        What it raised, or that it took too long; from a worker with the traceback there as a note.
    seconds : float
        What the chunk took where it was evaluated.
    worker : str
        Host and process where that was; empty for this process.
    """

    values: Tensor | None
    failure: Exception | None
    seconds: float
    worker: str = ""


Arrived: TypeAlias = Callable[[int, Outcome], None]


def in_order(
    ask: Callable[[Chunk], Tensor], chunks: Sequence[Chunk], limits: Limits, arrived: Arrived | None
) -> Generator[Outcome | None]:
    """Outcomes of `ask` for one chunk after the other, in this process; none of those past the deadline."""
    for i, chunk in enumerate(chunks):
        began = time.perf_counter()
        if began >= limits.deadline:
            return
        values, failure = None, None
        try:
            with own_threads():
                values = ask(chunk)
        except Exception as error:  # noqa: BLE001 - what it means is for the caller to say
            failure = error
        outcome = Outcome(values, failure, time.perf_counter() - began)
        if arrived is not None:
            arrived(i, outcome)
        yield outcome
