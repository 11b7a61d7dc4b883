"""Journaled: an objective whose evaluations are kept and not repeated."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from attrs import evolve
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.machine.clock import Clock
from invopt.core.objective import ADJOINT, Adjoint, Objective
from invopt.core.outcome import UNLIMITED, Arrived, Chunk, Limits, Outcome
from invopt.exceptions import EvaluationError
from invopt.journal.keeping import KINDS, Keeper
from invopt.journal.recorder import Recorder
from invopt.journal.rows import Evaluation

__all__ = ["Journaled"]


class _Part(NamedTuple):
    """A chunk: number of its first row, known evaluations, rows to evaluate."""

    chunk: Chunk
    first: int
    known: list[Evaluation | None]
    missing: list[int]


class Journaled(Objective):
    """Objective that keeps evaluations in a journal, and takes known ones from it.

    Parameters
    ----------
    objective : Objective
        Evaluates.
    recorder : Recorder
        Journal of the run.
    clock : Clock
        Clock of the run; it is set forward to the time at which a known evaluation ended.
    keep_failures : bool
        Whether failed evaluations are kept; otherwise a failure ends the run, and is repeated when the run continues.
    """

    def __init__(
        self,
        objective: Objective,
        recorder: Recorder,
        *,
        clock: Clock,
        keep_failures: bool,
    ) -> None:
        self._objective = objective
        self._recorder = recorder
        self._clock = clock
        self._keep_failures = keep_failures
        self.describe_as(objective.described())
        # "answer" while the answer of a run that has ended is measured.
        self.purpose = "descent"

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
        """Evaluate chunks of points; see `Objective.evaluate`."""
        if self._recorder.holds_more:
            return self._replay(name, chunks, spp, limits, adjoint, arrived)
        numbers = [self._recorder.take(len(chunk.seeds)) for chunk in chunks]
        return self._evaluate(name, chunks, numbers, spp, self._shortened(limits, []), adjoint, arrived)

    def _evaluate(
        self,
        name: str,
        chunks: Sequence[Chunk],
        numbers: Sequence[Sequence[int]],
        spp: int | None,
        limits: Limits,
        adjoint: Adjoint,
        arrived: Arrived | None = None,
    ) -> Generator[Outcome | None]:
        """Evaluate chunks whose rows have these numbers, and keep the outcomes."""
        keeper = Keeper(self._recorder, name, spp, purpose=self.purpose, keep_failures=self._keep_failures)
        clock = self._clock

        def keep(i: int, outcome: Outcome) -> None:
            keeper.add(numbers[i], chunks[i], outcome, clock())
            if arrived is not None:
                arrived(i, outcome)

        outcomes = self._objective.evaluate(name, chunks, spp=spp, limits=limits, adjoint=adjoint, arrived=keep)
        try:
            for outcome in outcomes:
                yield _double(outcome) if name == "fun" and outcome is not None else outcome
        finally:
            outcomes.close()
            keeper.flush()

    def _replay(
        self,
        name: str,
        chunks: Sequence[Chunk],
        spp: int | None,
        limits: Limits,
        adjoint: Adjoint,
        arrived: Arrived | None,
    ) -> Generator[Outcome | None]:
        """Take values from the file, and evaluate the rows that are missing in it."""
        parts = [self._part(name, chunk, spp) for chunk in chunks]
        asked = [part for part in parts if part.missing]
        numbers = [[part.first + i for i in part.missing] for part in asked]
        left = [_only(part) for part in asked]
        outcomes = self._evaluate(name, left, numbers, spp, self._shortened(limits, parts), adjoint)
        with closing(outcomes):
            for i, part in enumerate(parts):
                new = next(outcomes, None) if part.missing else None
                if part.missing and new is None:
                    return
                outcome = self._joined(name, part, new)
                if arrived is not None:
                    arrived(i, outcome)
                yield outcome

    def _part(self, name: str, chunk: Chunk, spp: int | None) -> _Part:
        numbers = self._recorder.take(len(chunk.seeds))
        known = self._recorder.known(numbers, KINDS[name], chunk.rows.numpy(), chunk.seeds, spp)
        return _Part(chunk, numbers[0], known, [i for i, item in enumerate(known) if item is None])

    def _shortened(self, limits: Limits, parts: list[_Part]) -> Limits:
        """Limits after the clock is set forward past the known evaluations."""
        clocks = [item.clock for part in parts for item in part.known if item is not None]
        if 0 < self._recorder.descent_end <= self._recorder.position:
            # So that a time limit ends a continued run at the same evaluation as before.
            clocks.append(self._recorder.clock)
        return evolve(limits, deadline=limits.deadline - self._clock.at_least(max(clocks))) if clocks else limits

    def _joined(self, name: str, part: _Part, new: Outcome | None) -> Outcome:
        """Outcome of a whole chunk, from known and new evaluations."""
        if new is not None and (len(part.missing) == len(part.known) or new.values is None):
            return new
        known = [item for item in part.known if item is not None]
        failed = next((item for item in known if item.failure is not None), None)
        if failed is not None:
            return Outcome(None, EvaluationError(str(failed.failure)), failed.seconds, failed.worker)
        fresh: Iterator[Tensor] = iter([] if new is None or new.values is None else new.values)
        rows = [next(fresh) if item is None else _value(name, item) for item in part.known]
        seconds = sum(item.seconds for item in known) + (0.0 if new is None else new.seconds)
        return Outcome(torch.stack(rows), None, seconds, known[-1].worker)

    # Other methods of an objective, which are handed on.

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Values, which are not kept."""
        return self._objective.fun(x, seed=seed, spp=spp)

    @property
    def blind_spots(self) -> str:
        """What the derivative is known to leave out, as a sentence; empty if nothing."""
        return self._objective.blind_spots

    def hess(self, x: Tensor, *, seed: int) -> Tensor:
        """Hessian, which is not kept."""
        return self._objective.hess(x, seed=seed)

    def set_target(self, target: NDArray[Any]) -> None:
        """Set another target."""
        self._objective.set_target(target)

    def image(self, x: NDArray[np.float64], *, seed: int = 0, spp: int | None = None) -> NDArray[Any] | None:
        """Rendered image at `x`."""
        return self._objective.image(x, seed=seed, spp=spp)

    def write(self, x: NDArray[np.float64], out: Path) -> list[Path]:
        """Write further files of the problem at `x`; returns them."""
        return self._objective.write(x, out)


def _only(part: _Part) -> Chunk:
    """Rows of a chunk to evaluate.

    If all, the chunk itself: the last bits may depend on the arrangement.
    """
    if len(part.missing) == len(part.known):
        return part.chunk
    return Chunk(part.chunk.rows[part.missing].clone(), part.chunk.seeds[part.missing])


def _value(name: str, item: Evaluation) -> Tensor:
    """Row of results of an evaluation."""
    if name == "fun":
        return torch.tensor(item.value, dtype=torch.float64)
    assert item.vector is not None
    vector = torch.from_numpy(item.vector)
    if name in ("residuals", "constrained", "hess", "shading"):
        return vector
    return torch.cat([torch.tensor([item.value], dtype=torch.float64), vector])


def _double(outcome: Outcome) -> Outcome:
    """Values in float64, as a journal holds them."""
    if outcome.values is None or outcome.values.dtype == torch.float64:
        return outcome
    return Outcome(outcome.values.double(), None, outcome.seconds, outcome.worker)
