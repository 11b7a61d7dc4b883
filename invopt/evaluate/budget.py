"""Limits of a run's evaluations, and the signal that one is reached."""

from __future__ import annotations

import math

import attrs

from invopt.core.result import Status
from invopt.evaluate.failures import Failures

__all__ = ["UNBOUNDED", "Budget", "StopRun"]


class StopRun(Exception):  # noqa: N818 - a signal to the loop, not an error
    """Ends the run with a status; raised before an evaluation that would overrun a budget."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.value)
        self.status = status


@attrs.frozen
class Budget:
    """Limits that the evaluator keeps, never one evaluation over, and what it makes of failures."""

    maxfev: float = math.inf
    maxtime: float = math.inf
    timeout: float = math.inf
    max_nonfinite: float = 0.5
    failures: Failures = "raise"


UNBOUNDED = Budget()
