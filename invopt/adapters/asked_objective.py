"""The objective of a session, which hands points out to its owner, and what it hands out."""

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
    """Points that want evaluating.

    Attributes
    ----------
    x : ndarray, shape (k, n)
        Points, inside the bounds, in the problem's own units. Behind a network (`problems.GreyBox`) each begins with
        the number of the item that it is for, and goes on with a point of the inner problem.
    seed : ndarray of int64, shape (k,)
        Seed for the randomness of each evaluation; equal seeds mean common random numbers.
    ids : ndarray of int64, shape (k,)
        Number of each point, unique in the session: `Session.tell` takes single answers by it.
    kind : {"fun", "residuals"}
        What is asked for: one value a point, or its residuals, as many at every point.
    spp : int or None
        Samples per pixel asked for, where a problem has them; None for its own.
    """

    x: NDArray[np.float64]
    seed: NDArray[np.int64]
    ids: NDArray[np.int64]
    kind: Literal["fun", "residuals"] = "fun"
    spp: int | None = None


class AskedObjective(Objective):
    """Hands points out to the session's owner instead of evaluating them."""

    def __init__(self, thread: AskingThread) -> None:
        self._thread = thread
        # Points asked for so far; of the last request: its first number, when it was made, whom to tell of answers.
        self.asked = self._first = 0
        self._began = 0.0
        self._arrived: Arrived | None = None

    # One answer each, which a journal keeps as soon as it is told.
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
        # The owner's code, between an ask and a tell, has its own number of threads.
        with own_threads():
            values = self._thread.ask(Request(x, seed, ids, kind, spp))
        assert isinstance(values, Tensor)
        for row in values:
            yield self._outcome(row)

    def told(self, number: int, answer: Tensor) -> None:
        """Hand an answer on to the journal, in the owner's thread."""
        if self._arrived is not None:
            self._arrived(number - self._first, self._outcome(answer))

    def _outcome(self, answer: Tensor) -> Outcome:
        return Outcome(answer[None], None, time.perf_counter() - self._began, "owner")

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Not asked for by itself."""
        raise TypeError("a session's points are evaluated by its owner")
