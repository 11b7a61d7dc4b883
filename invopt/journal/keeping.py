"""Keeper: puts the outcomes of a call into a journal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

from torch import Tensor

from invopt.core.answers.shading import residuals_of
from invopt.core.outcome import Chunk, Outcome
from invopt.journal.coding import encode
from invopt.journal.recorder import Recorder
from invopt.journal.rows import Arrived

__all__ = ["KINDS", "Keeper"]

KINDS = {
    "fun": "fun",
    "residuals": "residuals",
    "constrained": "constrained",
    "value_and_jac": "derivative",
    "hess": "hessian",
    "shading": "shading",
}
_Coded: TypeAlias = tuple[str | None, bytes | None]
_NO_VECTOR = (None, None)
# Seconds of evaluations that are kept together: keeping them one by one would take longer than the evaluations
# (`tests/benchmarks/test_journal_overhead.py`).
_SECONDS_TOGETHER = 1e-3


class Keeper:
    """Keeps the outcomes of one call; those of a millisecond are kept together.

    Parameters
    ----------
    recorder : Recorder
        Journal of the run.
    name : str
        Method of the objective.
    spp : int or None
        Samples per pixel; None for the problem's own.
    purpose : {"descent", "answer"}
        Whether the method asked, or the answer is measured at the end.
    keep_failures : bool
        Whether failed evaluations are kept; otherwise a failure ends the run.
    """

    def __init__(self, recorder: Recorder, name: str, spp: int | None, *, purpose: str, keep_failures: bool) -> None:
        self._recorder = recorder
        self._kind = KINDS[name]
        self._spp = spp
        self._purpose = purpose
        self._keep_failures = keep_failures
        self._waiting: list[Arrived] = []
        self._seconds = 0.0

    def add(self, numbers: Sequence[int], chunk: Chunk, outcome: Outcome, clock: float) -> None:
        """Keep the outcome of a chunk, unless it will end the run.

        Outcomes that took less than a millisecond wait for more, or for `flush`.

        Parameters
        ----------
        numbers : sequence of int
            Numbers of its rows.
        chunk : Chunk
            Points and seeds.
        outcome : Outcome
            Values or failure.
        clock : float
            Time on the clock of the run.
        """
        if not self._is_kept(len(numbers), outcome):
            return
        seconds = outcome.seconds / len(numbers)
        values, vectors = self._columns(len(numbers), outcome.values, seconds)
        failure = None if outcome.failure is None else str(outcome.failure)
        # Copies: the owner of the arrays may change them.
        points, seeds = chunk.rows.numpy().tobytes(), chunk.seeds.tolist()
        asked = (self._purpose, self._kind, self._spp, numbers, points, seeds)
        self._waiting.append(Arrived(*asked, values, vectors, failure, seconds, clock, outcome.worker))
        self._seconds += outcome.seconds
        if self._seconds >= _SECONDS_TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Hand on the outcomes that wait."""
        if self._waiting:
            waiting, self._waiting, self._seconds = self._waiting, [], 0.0
            self._recorder.add(waiting)

    def _is_kept(self, k: int, outcome: Outcome) -> bool:
        values = outcome.values
        if values is None:
            return self._keep_failures
        return values.ndim == (1 if self._kind == "fun" else 2) and values.shape[0] == k

    def _columns(self, k: int, known: Tensor | None, seconds: float) -> tuple[list[float], Sequence[_Coded]]:
        """Values and encoded vectors of `k` rows of results that took `seconds` each."""
        if known is None:
            return [math.nan] * k, [_NO_VECTOR] * k
        if self._kind == "fun":
            return known.tolist(), [_NO_VECTOR] * k
        rows = list(known.detach().cpu().numpy())
        if self._kind == "derivative":
            return [float(row[0]) for row in rows], [encode(row[1:], seconds) for row in rows]
        funs = [math.nan] * k
        if self._kind in ("residuals", "shading"):
            whole = residuals_of(known) if self._kind == "shading" else known
            funs = whole.double().square().mean(1).tolist()
        elif self._kind == "constrained":
            funs = known.double()[:, 0].tolist()
        return funs, [encode(row, seconds) for row in rows]
