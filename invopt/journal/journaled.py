"""An objective whose evaluations are kept: what the journal holds is not evaluated again."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from attrs import evolve, frozen
from numpy.typing import NDArray
from torch import Tensor

from invopt._clock import Clock
from invopt._objective import ADJOINT, Adjoint, Objective
from invopt._outcome import UNLIMITED, Arrived, Chunk, Limits, Outcome
from invopt.exceptions import EvaluationError
from invopt.journal.recorder import Recorder
from invopt.journal.rows import Evaluation

__all__ = ["Journaled"]

_KINDS = {"fun": "fun", "residuals": "residuals", "value_and_jac": "derivative", "hess": "hessian"}


@frozen(eq=False)
class _Part:
    """A chunk, the number of its first row, what is known of its rows, and which of them are to be evaluated."""

    chunk: Chunk
    first: int
    known: list[Evaluation | None]

    @property
    def missing(self) -> list[int]:
        return [i for i, item in enumerate(self.known) if item is None]


class Journaled(Objective):
    """Answers from the journal as far as that goes, and keeps every other answer before it is given.

    Parameters
    ----------
    objective : Objective
        What evaluates.
    recorder : Recorder
        The run's journal.
    clock : Clock
        The run's, set forward to when a known evaluation was finished.
    keep_failures : bool
        Whether a failed evaluation counts as one, and is kept; otherwise it ends the run and is tried again.
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
        self.chunk_size = objective.chunk_size
        self.reference = objective.reference
        # "answer" once the run has ended and its answer is measured.
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
        parts = [self._part(name, chunk, spp) for chunk in chunks]
        limits = evolve(limits, deadline=limits.deadline - self._forward(parts))
        asked = [i for i, part in enumerate(parts) if part.missing]

        def keep(j: int, outcome: Outcome) -> None:
            self._keep(name, parts[asked[j]], spp, outcome)

        left = [_only(parts[i]) for i in asked]
        outcomes = self._objective.evaluate(name, left, spp=spp, limits=limits, adjoint=adjoint, arrived=keep)
        try:
            for i, part in enumerate(parts):
                new = next(outcomes, None) if part.missing else None
                if part.missing and new is None:
                    return
                outcome = self._joined(name, part, new)
                if arrived is not None:
                    arrived(i, outcome)
                yield outcome
        finally:
            outcomes.close()

    def _part(self, name: str, chunk: Chunk, spp: int | None) -> _Part:
        first = self._recorder.position
        known = self._recorder.known(_KINDS[name], chunk.rows.numpy(), chunk.seeds, spp)
        return _Part(chunk, first, known)

    def _forward(self, parts: list[_Part]) -> float:
        """Set the clock forward to when what is known was finished; by how much."""
        clocks = [item.clock for part in parts for item in part.known if item is not None]
        if 0 < self._recorder.descent_end <= self._recorder.position:
            # A time limit ends a run again where it ended it before.
            clocks.append(self._recorder.clock)
        return self._clock.at_least(max(clocks, default=0.0))

    def _keep(self, name: str, part: _Part, spp: int | None, outcome: Outcome) -> None:
        """Keep an outcome, row by row, unless its failure or its shape will end the run."""
        k = len(part.missing)
        values = outcome.values
        if values is None and not self._keep_failures:
            return
        if values is not None and (values.ndim != (1 if name == "fun" else 2) or len(values) != k):
            return
        clock, failure = self._clock(), None if outcome.failure is None else str(outcome.failure)
        points, seeds, split = part.chunk.rows.numpy(), part.chunk.seeds.tolist(), _split(name, values, k)
        for i, (value, vector) in zip(part.missing, split, strict=True):
            self._recorder.add(
                Evaluation(
                    number=part.first + i,
                    purpose=self.purpose,
                    kind=_KINDS[name],
                    x=points[i],
                    seed=seeds[i],
                    spp=spp,
                    value=value,
                    vector=vector,
                    failure=failure,
                    seconds=outcome.seconds / k,
                    clock=clock,
                    worker=outcome.worker,
                )
            )

    def _joined(self, name: str, part: _Part, new: Outcome | None) -> Outcome:
        """Outcome of a whole chunk, of what was known and what is new."""
        known = [item for item in part.known if item is not None]
        if new is not None and (not known or new.values is None):
            return new if new.values is None or name != "fun" else _double(new)
        failed = next((item for item in known if item.failure is not None), None)
        if failed is not None:
            return Outcome(None, EvaluationError(str(failed.failure)), failed.seconds, failed.worker)
        fresh: Iterator[Tensor] = iter([] if new is None or new.values is None else new.values)
        rows = [next(fresh) if item is None else _value(name, item) for item in part.known]
        seconds = sum(item.seconds for item in known) + (0.0 if new is None else new.seconds)
        return Outcome(torch.stack(rows), None, seconds, known[-1].worker)

    # The rest of an objective, handed on.

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Values, not kept."""
        return self._objective.fun(x, seed=seed, spp=spp)

    @property
    def blind_spots(self) -> str:
        """What the derivative is known to leave out."""
        return self._objective.blind_spots

    def hess(self, x: Tensor, *, seed: int) -> Tensor:
        """Hessian, not kept."""
        return self._objective.hess(x, seed=seed)

    def set_target(self, target: NDArray[Any]) -> None:
        """Compare with another target from now on."""
        self._objective.set_target(target)

    def image(self, x: NDArray[np.float64], *, seed: int = 0, spp: int | None = None) -> NDArray[Any] | None:
        """Picture at `x`."""
        return self._objective.image(x, seed=seed, spp=spp)

    def write(self, x: NDArray[np.float64], out: Path) -> list[Path]:
        """What else is worth a file."""
        return self._objective.write(x, out)


def _only(part: _Part) -> Chunk:
    """The rows of a chunk that are to be evaluated; all of them as they are, for the bits' sake."""
    if len(part.missing) == len(part.known):
        return part.chunk
    return Chunk(part.chunk.rows[part.missing].clone(), part.chunk.seeds[part.missing])


def _split(name: str, values: Tensor | None, k: int) -> list[tuple[float, NDArray[np.floating] | None]]:
    """Value and vector of each of `k` rows of results."""
    if values is None:
        return [(math.nan, None)] * k
    if name == "fun":
        return [(value, None) for value in values.tolist()]
    rows = list(values.detach().cpu().numpy())
    if name == "residuals":
        return list(zip(values.double().square().mean(1).tolist(), rows, strict=True))
    if name == "hess":
        return [(math.nan, row) for row in rows]
    return [(float(row[0]), row[1:]) for row in rows]


def _value(name: str, item: Evaluation) -> Tensor:
    """The row of results again."""
    if name == "fun":
        return torch.tensor(item.value, dtype=torch.float64)
    assert item.vector is not None
    vector = torch.from_numpy(item.vector)
    if name in ("residuals", "hess"):
        return vector
    return torch.cat([torch.tensor([item.value], dtype=torch.float64), vector])


def _double(outcome: Outcome) -> Outcome:
    """Values as a journal holds them."""
    assert outcome.values is not None
    return Outcome(outcome.values.double(), None, outcome.seconds, outcome.worker)
