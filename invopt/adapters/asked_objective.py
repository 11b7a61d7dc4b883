"""AskedObjective: passes points to the owner of a session. Request: the points."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.machine.asking_thread import AskingThread
from invopt.core.machine.threads import own_threads
from invopt.core.objective import ADJOINT, Adjoint, Objective
from invopt.core.outcome import UNLIMITED, Arrived, Chunk, Limits, Outcome

__all__ = ["AskedObjective", "Request"]


class Request(NamedTuple):
    """Points to evaluate.

    Attributes
    ----------
    x : ndarray, shape (k, n)
        Points, inside the bounds, in the problem's units. Behind a network (`problems.GreyBox`) each begins with the
        number of its item and continues with a point of the inner problem.
    seed : ndarray of int64, shape (k,)
        Seed for the randomness of each evaluation; equal seeds mean common random numbers.
    ids : ndarray of int64, shape (k,)
        Number of each point, unique in the session: `Session.tell` takes single answers by it.
    kind : {"fun", "residuals"}
        What to evaluate: one value for each point, or its residuals, the same number for every point.
    spp : int or None
        Samples per pixel, if the problem renders; None for its own.
    """

    x: NDArray[np.float64]
    seed: NDArray[np.int64]
    ids: NDArray[np.int64]
    kind: Literal["fun", "residuals"] = "fun"
    spp: int | None = None


class AskedObjective(Objective):
    """Passes points to the owner of the session instead of evaluating them."""

    def __init__(self, thread: AskingThread) -> None:
        self._thread = thread
        # Number of points asked so far; first number of the last request.
        self.asked = self._first = 0
        # Time of the last request, and where its answers are reported.
        self._began = 0.0
        self._arrived: Arrived | None = None

    # One point for each chunk, so that a journal keeps every answer as soon as it is told.
    chunk_size = 1
    answers_all = False

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
        """Ask the owner for all points at once; see `Objective.evaluate`."""
        if not chunks or time.perf_counter() >= limits.deadline:
            return
        kind: Literal["fun", "residuals"] = "residuals" if name.endswith("residuals") else "fun"
        x = torch.cat([chunk.rows for chunk in chunks]).numpy().copy()
        seed = np.concatenate([chunk.seeds for chunk in chunks])
        ids = np.arange(self.asked, self.asked + len(x))
        self.asked += len(x)
        self._arrived, self._began, self._first = arrived, time.perf_counter(), int(ids[0])
        # The owner's code, between ask and tell, has its own number of threads.
        with own_threads():
            values = self._thread.ask(Request(x, seed, ids, kind, spp))
        assert isinstance(values, Tensor)
        for row in values:
            yield self._outcome(row)

    def told(self, number: int, answer: Tensor) -> None:
        """Pass an answer to the journal, in the owner's thread."""
        if self._arrived is not None:
            self._arrived(number - self._first, self._outcome(answer))

    def _outcome(self, answer: Tensor) -> Outcome:
        return Outcome(answer[None], None, time.perf_counter() - self._began, "owner")

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Not supported: `evaluate` asks the owner."""
        raise TypeError("the owner of a session evaluates its points")
