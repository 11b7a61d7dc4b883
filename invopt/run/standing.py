"""Standing: the state of a run, with its evaluations, points, status and answer."""

from __future__ import annotations

from typing import Any

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
    """State of a run, which the loop updates.

    Files and results are made from it.

    Attributes
    ----------
    run : Run
        Its parts and settings.
    clock : Clock
        Its clock.
    evaluator : CountingEvaluator
        Evaluates its objective.
    history : History
        One row for each iteration.
    highest, last, best : Point or None
        The points with the highest `lower_bound`, the latest estimate and the lowest estimate.
    status : Status
        RUNNING, or how the run ended.
    answer : Answer or None
        Answer measured at the end.
    chosen : str
        What the method has chosen by itself, in words.
    measurements : dict
        What the objective has measured at the answer.
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
    chosen: str = ""
    measurements: dict[str, Any] = field(factory=dict)
