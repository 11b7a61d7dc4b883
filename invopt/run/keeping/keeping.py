"""Keeping: the file of a run.

A journal of its evaluations, or snapshots of a training.
"""

from __future__ import annotations

import contextlib
import warnings

import attrs

from invopt.core.estimator import Order, Point
from invopt.core.machine.caller import stacklevel_outside
from invopt.core.machine.clock import Clock
from invopt.core.objective import Objective
from invopt.core.result import History, OptimizeResult
from invopt.exceptions import InvoptError, JournalError, JournalWarning
from invopt.journal.claim import environment, subject_of
from invopt.journal.journaled import Journaled
from invopt.journal.recorder import Recorder
from invopt.journal.trimming import trim
from invopt.run.iteration import Iteration
from invopt.run.run import Run
from invopt.run.standing import Standing
from invopt.snapshots.keeper import Keeper
from invopt.snapshots.snapshot import Snapshot, reduced, restored

__all__ = ["Keeping"]


class Keeping:
    """Journal or checkpoint of one run; without either it does nothing.

    Parameters
    ----------
    run : Run
        Parts and settings.
    clock : Clock
        The run's clock.
    """

    def __init__(self, run: Run, clock: Clock) -> None:
        self._run, self._clock = run, clock
        self._recorder = None if run.kept.claim is None else Recorder(run.kept.claim)
        self._journaled: Journaled | None = None
        self._descended = 0.0
        self._asks_owner = False
        parts = (run.problem, run.estimator, run.method)
        checkpoint, comparable = run.kept.files.checkpoint, run.estimator.comparable
        self._keeper = (
            None
            if checkpoint is None
            else Keeper(checkpoint, run.kept.digests, set(run.kept.given), parts, comparable=comparable)
        )

    def kept(self, objective: Objective) -> Objective:
        """Return the objective, with its evaluations kept in the journal if there is one."""
        if self._recorder is None:
            return objective
        # The objective of a session, whose owner supplies the values.
        self._asks_owner = not objective.answers_all
        self._journaled = Journaled(
            objective,
            self._recorder,
            clock=self._clock,
            keep_failures=self._run.failures == "nan",
        )
        return self._journaled

    def descended(self) -> None:
        """Note that the descent has ended, and that the answer is measured next."""
        self._descended = self._clock()
        if self._journaled is not None:
            self._journaled.purpose = "answer"

    # Snapshots.

    def resume(self, standing: Standing, now: Iteration) -> None:
        """Restore a training from its checkpoint, if there is one.

        Restored are the state of the run and its iteration.
        """
        if self._keeper is None:
            return
        x = self._run.problem.as_tensor(self._run.x0)
        found = self._keeper.found(x, now.memory, now.state, attrs.asdict(standing.evaluator.counts))
        if found is None:
            return
        record = found.record
        try:
            self._run.rng.bit_generator.state = found.rng
        except (TypeError, ValueError, KeyError, OverflowError) as error:
            raise self._keeper.damaged(f"its state of the generator is invalid: {error}") from None
        standing.history = History.from_columns(record["history"])
        for name, value in record["counts"].items():
            # In place, because all evaluators behind a chain share these counts.
            setattr(standing.evaluator.counts, name, value)
        standing.highest, standing.last, standing.best = (
            restored(record[name]) for name in ("highest", "last", "best")
        )
        self._clock.at_least(record["seconds"])
        now.x, now.memory, now.state, now.step = found.x, found.memory, found.state, record["step"]
        now.plateau.flat, now.plateau.spent = record["flat"], record["spent"]
        now.estimate = None if record["estimate"] is None else restored(record["estimate"]).estimate

    def note(self, standing: Standing, now: Iteration) -> None:
        """Note the state of a training between two iterations."""
        curved, estimate = self._run.method.requires & (Order.HESS | Order.HESSP), now.estimate
        if not self._keeper or (curved and estimate is not None and (estimate.hessian or estimate.product)):
            # The method will ask for the curvature of the last estimate, which a file cannot hold.
            return
        record = {
            "estimate": None if estimate is None else reduced(Point(now.x, estimate), whole=True),
            "step": now.step,
            "flat": now.plateau.flat,
            "spent": now.plateau.spent,
            "counts": attrs.asdict(standing.evaluator.counts),
            "rows": len(standing.history),
            "seconds": self._clock(),
            "highest": standing.highest,
            "last": standing.last,
            "best": standing.best,
        }
        rng = dict(self._run.rng.bit_generator.state)
        snapshot = Snapshot(x=now.x, memory=now.memory, state=now.state, rng=rng, record=record)
        self._keeper.note(snapshot, standing.history)

    # The end.

    @property
    def replayed(self) -> int:
        """Number of evaluations read from the journal."""
        return 0 if self._recorder is None else self._recorder.replayed

    @property
    def note_of_result(self) -> str:
        """Sentence about the journal for the message of the result; empty for none."""
        recorder = self._recorder
        if recorder is None or recorder.inexact == 0:
            return ""
        return (
            f"{recorder.inexact} of {recorder.replayed} evaluations in the journal were at points that differ from "
            f"these in the last bits: it was written under {_changes(self._run.kept.environment)}"
        )

    def close(self, standing: Standing, result: OptimizeResult) -> None:
        """Write the rest of the run, with its result, and close the files."""
        if self._keeper:
            self._keeper.write()
        if self._recorder is None:
            return
        result.resolve()
        self._recorder.close(
            {
                "status": standing.status.name,
                "message": str(result.message),
                "x": result.x.tobytes(),
                "fun": float(result.fun),
                "fun_standard_error": float(result.fun_standard_error),
                "nfev": int(result.nfev),
                "seconds": float(result.seconds),
                "clock": self._descended or self._clock(),
            },
            self._subject_now(),
        )
        journal = self._run.kept.files.journal
        if journal is not None and not self._recorder.trouble:
            with contextlib.suppress(JournalError, OSError):
                trim(journal)

    def _subject_now(self) -> str | None:
        """Digest of the problem at the end of a run, or None.

        None unless only the evaluations of the run have changed the problem. A callback, a session's owner and code
        that changes globals may change a problem too: it is then another one.
        """
        kept = self._run.kept
        assert kept.subject is not None
        assert kept.claim is not None
        if self._run.callback is not None or self._asks_owner:
            return None
        try:
            parts, surroundings = kept.subject.digests()
        except InvoptError:
            return None
        subject = subject_of(parts)
        return None if subject == kept.claim.subject or surroundings != kept.surroundings else subject

    def warn(self, result: OptimizeResult) -> None:
        """Warn of files that could not be written.

        If warnings are errors, the error has the result.
        """
        keepers = (self._recorder, self._keeper)
        trouble = "; ".join(keeper.trouble for keeper in keepers if keeper and keeper.trouble)
        if not trouble:
            return
        try:
            message = f"{trouble}: the result is not affected"
            warnings.warn(message, JournalWarning, stacklevel=stacklevel_outside())
        except JournalWarning as warning:
            warning.result = result  # type: ignore[attr-defined]
            raise


def _changes(before: dict[str, str]) -> str:
    """Return the versions that differ from the present ones."""
    now = environment()
    found = [
        f"{name} {before.get(name)} (now {version})" for name, version in now.items() if before.get(name) != version
    ]
    return ", ".join(found) or "the same versions on another machine"
