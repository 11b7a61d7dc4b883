"""Keeper: writes the state of a training at intervals, and reads it again."""

from __future__ import annotations

import logging
import time
from typing import Any

import attrs
from torch import Tensor

from invopt.core.result import History
from invopt.exceptions import CheckpointError
from invopt.snapshots.checkpoint import Checkpoint
from invopt.snapshots.likeness import check_like
from invopt.snapshots.snapshot import Snapshot, reduced

__all__ = ["Keeper"]

_logger = logging.getLogger("invopt.checkpoint")


class Keeper:
    """The checkpoint of one run.

    Parameters
    ----------
    checkpoint : Checkpoint
        File and intervals.
    identity : dict of str
        Digests of all parts of the run.
    given : set of str
        Names of the parts that must be the same in a file: start and generator only if they were given.
    parts : tuple of object
        Problem, estimator and method.
    comparable : bool
        Whether values of different points can be compared, so that earlier points may be the answer.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        identity: dict[str, str],
        given: set[str],
        parts: tuple[Any, ...],
        *,
        comparable: bool,
    ) -> None:
        self._checkpoint, self._identity, self._given = checkpoint, identity, given
        self._parts, self._comparable = parts, comparable
        self._snapshot: Snapshot | None = None
        self._history = History()
        self._written = time.monotonic()
        self.trouble = ""

    def found(self, x: Tensor, memory: Any, state: Any, counts: dict[str, Any]) -> Snapshot | None:
        """The state to continue from, or None; the arguments are those of a new run."""
        self._checkpoint.check_state(memory, state)
        given = {name: value for name, value in self._identity.items() if name in self._given}
        snapshot = self._checkpoint.load(given, self._parts, x.device)
        if snapshot is not None and type(snapshot.memory) is not type(memory):
            kind = type(snapshot.memory).__name__
            raise self.damaged(f"{kind} is not the state of this run's estimator")
        if snapshot is not None:
            try:
                check_like(snapshot, x, memory, state, counts)
                if not self._parts[2].recognises(snapshot.state, x):
                    raise CheckpointError("its 'state' does not belong to this run")
                if not self._parts[1].recognises(snapshot.memory):
                    raise CheckpointError("its 'memory' does not belong to this run")
            except CheckpointError as error:
                raise self.damaged(str(error)) from None
        return snapshot

    def damaged(self, why: str) -> CheckpointError:
        """An error that says what is wrong with the file."""
        return CheckpointError(f"{str(self._checkpoint.path)!r} is damaged: {why}")

    def note(self, snapshot: Snapshot, history: History) -> None:
        """Note the present state, and write it if an interval has passed."""
        self._snapshot, self._history = snapshot, history
        due = self._checkpoint.every is not None and len(history) % self._checkpoint.every == 0
        if due or time.monotonic() - self._written >= self._checkpoint.seconds:
            self.write()

    def write(self) -> None:
        """Write the last state that was noted, unless it is written.

        That the file cannot be written is no error.
        """
        if self._snapshot is None:
            return
        record = dict(self._snapshot.record)
        record["history"] = self._history.columns_to(record.pop("rows"))
        for name in ("highest", "last", "best"):
            # No weights are kept of points that cannot be the answer.
            record[name] = reduced(record[name], whole=name == "last" or self._comparable)
        try:
            self._checkpoint.save(attrs.evolve(self._snapshot, record=record), self._identity)
            self._snapshot, self.trouble = None, ""
        except OSError as error:
            if not self.trouble:
                _logger.warning("invopt: the checkpoint cannot be written: %s", error)
            self.trouble = f"the checkpoint cannot be written: {error}"
        self._written = time.monotonic()
