"""The answer of a run with constraints that hold at none of its points."""

from __future__ import annotations

import math

from attrs import evolve

from invopt.core.result import Status
from invopt.evaluate.seen import Seen
from invopt.run.ending.ending import Answer

__all__ = ["with_constraints"]

# How a run ends before its method does.
_CUT_SHORT = {Status.MAXFEV, Status.MAXITER, Status.MAXTIME, Status.CALLBACK, Status.INTERRUPTED}
_NONE_YET = "no point was found at which all constraints hold: `maxcv` is the violation"


def with_constraints(answer: Answer, seen: Seen) -> Answer:
    """Return the answer of a run with constraints.

    If they hold nowhere, it is the point that violates them least.
    """
    nearest = seen.nearest
    if nearest is None or math.isfinite(answer.fun):
        return answer
    row = seen.row(nearest.x)
    assert row is not None
    ended = answer.status not in _CUT_SHORT
    return evolve(
        answer,
        x=nearest.x,
        point=None,
        fun=float(row[0]),
        fun_standard_error=math.inf,
        status=Status.INFEASIBLE if ended else answer.status,
        note="" if ended else _NONE_YET,
    )
