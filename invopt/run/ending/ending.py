"""Ending: how a run ended. Answer: the point, value and status that it returns."""

from __future__ import annotations

import math

from attrs import frozen
from torch import Tensor

from invopt.core.estimator import Estimate, Incumbent, Point
from invopt.core.result import Status
from invopt.exceptions import NonFiniteError

__all__ = ["Answer", "Ending", "is_exact_rule", "status_of", "visited", "without_measuring"]


@frozen(kw_only=True, eq=False)
class Ending:
    """How a run ended, before its answer is measured; points in units of `x_scale`.

    Attributes
    ----------
    status : Status
        Status by the tolerances, the method or a budget.
    last : Point
        The last point.
    best : Point or None
        The point with the lowest estimate, if estimates can be compared.
    start : Tensor, shape (n,)
        The start.
    lowest : Incumbent or None
        The lowest value among all evaluations.
    start_known : bool
        Whether the start has been evaluated.
    start_first : bool
        Whether the start is evaluated before all other points, because the time may end.
    exact_rule : bool
        Whether the stopping rule is for exact values.
    noise_seen : bool
        Whether two values at one point have differed.
    probes : list of Tensor
        Points around the last one, in pairs of opposite directions, at most one scale away.
    all_unseen : bool
        Whether a derivative that counts as exact is exactly zero there.
    gtol : float
        Tolerance of the gradient, in units of `x_scale`.
    constrained : bool
        Whether there are constraints other than bounds.
    least : float
        Lower bound of all values: 0 for a mean of squares, else -inf.
    """

    status: Status
    last: Point
    best: Point | None
    start: Tensor
    lowest: Incumbent | None
    start_known: bool
    start_first: bool
    exact_rule: bool
    noise_seen: bool
    probes: list[Tensor]
    all_unseen: bool = False
    gtol: float = 0.0
    constrained: bool = False
    least: float = -math.inf


@frozen(kw_only=True, eq=False)
class Answer:
    """Returned point, its estimate if any, its value with error, and status.

    The error is a standard error, inf if unknown.
    """

    x: Tensor
    point: Point | None
    fun: float
    fun_standard_error: float
    status: Status
    note: str = ""


def without_measuring(ending: Ending) -> Answer:
    """Return the lowest value of the run, measured once, as the answer.

    Nothing is evaluated.
    """
    lowest, estimate = ending.lowest, ending.last.estimate
    if lowest is None:
        x, fun, error = ending.last.x, estimate.fun, estimate.fun_standard_error
    else:
        x, fun, error = lowest.x, lowest.fun, math.inf
    note = "" if ending.start_known else _NO_START
    return Answer(x=x, point=visited(x, ending), fun=fun, fun_standard_error=error, status=ending.status, note=note)


def visited(x: Tensor, ending: Ending) -> Point | None:
    """Return the visited point at `x` with its estimate; None if there is none."""
    for point in (ending.last, ending.best):
        if point is not None and bool((point.x == x).all()):
            return point
    return None


def status_of(error: BaseException) -> Status:
    """Return the status of a run that an error ended."""
    if isinstance(error, NonFiniteError):
        return Status.NONFINITE
    if isinstance(error, Exception | SystemExit):
        return Status.ERROR
    return Status.INTERRUPTED if isinstance(error, KeyboardInterrupt) else Status.CLOSED


def is_exact_rule(status: Status, estimate: Estimate, noise_aware: bool) -> bool:
    """Return whether a stopping rule is for exact values.

    Tolerances are such rules where estimates have no errors.
    """
    if status is Status.FINISHED:
        return not noise_aware
    error = estimate.standard_error
    exact = estimate.sigma == 0 and estimate.status is Status.RUNNING and (error is None or not bool(error.any()))
    return exact and status in {Status.CONVERGED, Status.XTOL, Status.FTOL}


_NO_START = "the start was not evaluated, and its value may be lower than the one returned"
