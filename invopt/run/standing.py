"""Where a run stands: what it has spent, the points it has seen, its verdict and its answer."""

from __future__ import annotations

from attrs import define, field

from invopt.core.estimator import Point
from invopt.core.machine.clock import Clock
from invopt.core.result import History, Status
from invopt.evaluate.evaluator import CountingEvaluator
from invopt.run.ending.ending import Answer
from invopt.run.run import Run

__all__ = ["Standing"]


@define(kw_only=True, eq=False)
class Standing:
    """State of a run, on which the loop writes and from which files and reports are made.

    Attributes
    ----------
    run : Run
        What is run.
    clock : Clock
        Its clock.
    evaluator : CountingEvaluator
        Where it evaluates.
    history : History
        A row for each iteration.
    highest, last, best : Point or None
        The points where an estimate was highest (as of `lower_bound`), newest and lowest.
    status : Status
        RUNNING, or how it ended.
    answer : Answer or None
        What was measured at the end.
    """

    run: Run
    clock: Clock
    evaluator: CountingEvaluator
    history: History = field(factory=History)
    highest: Point | None = None
    last: Point | None = None
    best: Point | None = None
    status: Status = Status.RUNNING
    answer: Answer | None = None
