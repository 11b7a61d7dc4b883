"""In which file a run is kept: a journal, or, where a network is trained, a checkpoint."""

from __future__ import annotations

from typing import Any, NamedTuple

from invopt._identify import is_training
from invopt._problem import Problem
from invopt.exceptions import IncompatibleError
from invopt.journal import Journal
from invopt.journal.reader import as_journal
from invopt.snapshots import Checkpoint, as_checkpoint

__all__ = ["Kept", "as_kept"]


class Kept(NamedTuple):
    """The journal or the checkpoint of a run; None where it has none."""

    journal: Journal | None
    checkpoint: Checkpoint | None

    @property
    def any(self) -> bool:
        """Whether there is one of them."""
        return self.journal is not None or self.checkpoint is not None


def as_kept(problem: Problem, journal: Any, checkpoint: Any, identity: Any) -> Kept:
    """Check how a run is to be kept: a checkpoint of a problem that is not a training is a journal at that path."""
    if identity is not None and (not isinstance(identity, str) or not identity):
        raise TypeError(f"'identity' must be a text that is not empty: {identity!r}")
    if journal is not None and checkpoint is not None:
        raise ValueError("give 'journal' or 'checkpoint', not both: a run is kept in one file")
    if is_training(problem):
        if journal is not None:
            raise IncompatibleError(
                f"'journal' keeps evaluations, and {type(problem).__name__} trains a network: give 'checkpoint', which "
                f"keeps its weights"
            )
        return Kept(None, as_checkpoint(checkpoint))
    if isinstance(checkpoint, Checkpoint):
        checkpoint = checkpoint.path
    name = "journal" if checkpoint is None else "checkpoint"
    return Kept(as_journal(journal if checkpoint is None else checkpoint, name), None)
