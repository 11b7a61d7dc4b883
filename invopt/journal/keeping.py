"""Outcomes on their way into a journal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from invopt._outcome import Chunk, Outcome
from invopt.journal.coding import encode
from invopt.journal.recorder import Recorder
from invopt.journal.rows import Batch

__all__ = ["KINDS", "Arrival", "Keeper"]

KINDS = {"fun": "fun", "residuals": "residuals", "value_and_jac": "derivative", "hess": "hessian"}
_Coded: TypeAlias = tuple[str | None, bytes | None]
_NONE = (None, None)
# Seconds of evaluations that are kept in one go: less than keeping them one by one would take.
_TOGETHER = 1e-3


class Arrival(NamedTuple):
    """What came of a chunk, the numbers of its rows, and what the run's clock showed."""

    numbers: Sequence[int]
    chunk: Chunk
    outcome: Outcome
    clock: float


class Keeper:
    """Keeps the outcomes of one call, those of a millisecond together.

    Parameters
    ----------
    recorder : Recorder
        The run's journal.
    name : str
        What was asked of the objective.
    spp : int or None
        With so many samples per pixel.
    purpose : {"descent", "answer"}
        For the method, or for the measurement at the end.
    keep_failures : bool
        Whether a failed evaluation is kept; otherwise it will end the run.
    """

    def __init__(self, recorder: Recorder, name: str, spp: int | None, *, purpose: str, keep_failures: bool) -> None:
        self._recorder = recorder
        self._name = name
        self._spp = spp
        self._purpose = purpose
        self._keep_failures = keep_failures
        self._waiting: list[Arrival] = []
        self._seconds = 0.0

    def add(self, arrival: Arrival) -> None:
        """Keep an outcome; for less than a millisecond's worth of them only `flush` hands on what waits."""
        self._waiting.append(arrival)
        self._seconds += arrival.outcome.seconds
        if self._seconds >= _TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Hand on what waits, row by row, but that whose failure or shape will end the run."""
        waiting, self._waiting, self._seconds = self._waiting, [], 0.0
        if not waiting:
            return
        good = [arrival for arrival in waiting if self._fits(arrival)]
        failed = [arrival for arrival in waiting if self._keep_failures and arrival.outcome.values is None]
        # Numbers together, for the speed of it; vectors one by one, as they may be large.
        together = [good] if self._name == "fun" and len(good) > 1 else [[arrival] for arrival in good]
        for group in (*together, *([arrival] for arrival in failed)):
            self._recorder.add(self._batch(group))

    def _fits(self, arrival: Arrival) -> bool:
        values = arrival.outcome.values
        if values is None:
            return False
        return values.ndim == (1 if self._name == "fun" else 2) and values.shape[0] == len(arrival.numbers)

    def _batch(self, arrivals: list[Arrival]) -> Batch:
        # Copies: whoever has the arrays may change them.
        points = torch.cat([arrival.chunk.rows for arrival in arrivals]).numpy()
        seeds = np.concatenate([arrival.chunk.seeds for arrival in arrivals]).tolist()
        known = [arrival.outcome.values for arrival in arrivals if arrival.outcome.values is not None]
        seconds = arrivals[0].outcome.seconds / len(arrivals[0].numbers)
        values, vectors = self._split(known, len(points), seconds)
        of_rows = []
        for numbers, _, outcome, clock in arrivals:
            failure = None if outcome.failure is None else str(outcome.failure)
            of_rows.append((numbers, failure, outcome.seconds / len(numbers), clock, outcome.worker))
        return Batch(self._purpose, KINDS[self._name], self._spp, of_rows, points, seeds, values, vectors)

    def _split(self, known: list[Tensor], k: int, seconds: float) -> tuple[list[float], Sequence[_Coded]]:
        """Values and encoded vectors of `k` rows of results that took so long each."""
        if not known:
            return [math.nan] * k, [_NONE] * k
        if self._name == "fun":
            return torch.cat(known).tolist(), [_NONE] * k
        (values,) = known
        rows = list(values.detach().cpu().numpy())
        if self._name == "value_and_jac":
            return [float(row[0]) for row in rows], [encode(row[1:], seconds) for row in rows]
        funs = values.double().square().mean(1).tolist() if self._name == "residuals" else [math.nan] * k
        return funs, [encode(row, seconds) for row in rows]
