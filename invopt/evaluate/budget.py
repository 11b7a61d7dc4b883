"""Budget: limits of a run's evaluations, and the signal that ends a run."""

from __future__ import annotations

import math

import attrs

from invopt.core.result import Status
from invopt.evaluate.failures import Failures

__all__ = ["UNBOUNDED", "Budget", "StopRun"]


class StopRun(Exception):  # noqa: N818 - a signal to the loop, not an error
    """Ends the run with a status.

    Raised before an evaluation that would exceed a limit.
    """

    def __init__(self, status: Status) -> None:
        super().__init__(status.value)
        self.status = status


@attrs.frozen
class Budget:
    """Limits of a run, never exceeded by an evaluation, and how failures count.

    Attributes
    ----------
    maxfev : float
        Evaluations.
    maxtime : float
        Seconds of the run.
    timeout : float
        Seconds of one evaluation in a worker.
    max_nonfinite : float
        Largest share of the values of one call that may fail.
    failures : {"raise", "nan"}
        Whether an exception ends the run, or counts as a failed evaluation.
    """

    maxfev: float = math.inf
    maxtime: float = math.inf
    timeout: float = math.inf
    max_nonfinite: float = 0.5
    failures: Failures = "raise"


UNBOUNDED = Budget()
