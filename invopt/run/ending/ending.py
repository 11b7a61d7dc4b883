"""How a run ended, and the answer that is made of it."""

from __future__ import annotations

import math

from attrs import frozen
from torch import Tensor

from invopt.core.estimator import Estimate, Point
from invopt.core.result import Status
from invopt.evaluate.seen import Lowest
from invopt.exceptions import NonFiniteError

__all__ = ["Answer", "Ending", "is_exact_rule", "status_of", "visited", "without_measuring"]


@frozen(kw_only=True, eq=False)
class Ending:
    """How a run ended, before its answer is measured; points in units of `x_scale`.

    Attributes
    ----------
    status : Status
        What the tolerances, the method or a budget said.
    last : Point
        Where that was.
    best : Point or None
        Where an estimate was lowest, if estimates can be compared.
    start : Tensor, shape (n,)
        Where the run began.
    lowest : Lowest or None
        The lowest value among all evaluations.
    start_known : bool
        Whether the start has been evaluated.
    start_first : bool
        Whether the start is to be evaluated before anything else, for the time may end meanwhile.
    exact_rule : bool
        Whether the verdict takes values for exact.
    noise_seen : bool
        Whether values at one point were seen to differ.
    probes : list of Tensor
        Points around the last one, in pairs of opposite directions, a typical change away or less.
    all_unseen : bool
        Whether a derivative that passes for exact is exactly zero there.
    gtol : float
        Gradient that the run takes for 0, in units of `x_scale`.
    least : float
        A value that nothing can be below, as 0 is of a mean of squares; else -inf.
    """

    status: Status
    last: Point
    best: Point | None
    start: Tensor
    lowest: Lowest | None
    start_known: bool
    start_first: bool
    exact_rule: bool
    noise_seen: bool
    probes: list[Tensor]
    all_unseen: bool = False
    gtol: float = 0.0
    least: float = -math.inf


@frozen(kw_only=True, eq=False)
class Answer:
    """A point and its estimate, if there is one; the value with a standard error, inf where unknown; the verdict."""

    x: Tensor
    point: Point | None
    fun: float
    fun_standard_error: float
    status: Status
    note: str = ""


def without_measuring(ending: Ending) -> Answer:
    """The answer where nothing more may be evaluated: the lowest value there is, which was measured once."""
    lowest, estimate = ending.lowest, ending.last.estimate
    if lowest is None:
        x, fun, error = ending.last.x, estimate.fun, estimate.fun_standard_error
    else:
        x, fun, error = lowest.x, lowest.fun, math.inf
    note = "" if ending.start_known else _NO_START
    return Answer(x=x, point=visited(x, ending), fun=fun, fun_standard_error=error, status=ending.status, note=note)


def visited(x: Tensor, ending: Ending) -> Point | None:
    """The visited point there, with its estimate."""
    for point in (ending.last, ending.best):
        if point is not None and bool((point.x == x).all()):
            return point
    return None


def status_of(error: BaseException) -> Status:
    """Status of a run that an error ended."""
    if isinstance(error, NonFiniteError):
        return Status.NONFINITE
    if isinstance(error, Exception | SystemExit):
        return Status.ERROR
    return Status.INTERRUPTED if isinstance(error, KeyboardInterrupt) else Status.CLOSED


def is_exact_rule(status: Status, estimate: Estimate, noise_aware: bool) -> bool:
    """Whether a verdict takes values for exact, as tolerances do of estimates that know no error."""
    if status is Status.FINISHED:
        return not noise_aware
    error = estimate.standard_error
    exact = estimate.sigma == 0 and estimate.status is Status.RUNNING and (error is None or not bool(error.any()))
    return exact and status in {Status.CONVERGED, Status.XTOL, Status.FTOL}


_NO_START = "the start was not evaluated, and may be lower than what is returned"
