"""What a run reports: rows of its history, and its result."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from invopt._result import Deferred, History, OptimizeResult, Status
from invopt._stopping import Point

if TYPE_CHECKING:
    from invopt._loop import Loop

__all__ = ["as_array", "record", "result_of"]


def as_array(x: torch.Tensor) -> NDArray[np.float64]:
    """What users get for a tensor of the loop's."""
    array: NDArray[np.float64] = x.detach().cpu().double().numpy()
    return array


def record(loop: Loop, point: Point, step: float) -> None:
    """Add a row to the history of a run."""
    estimate, n = point.estimate, loop.run.problem.n
    # Copying a network's weights every iteration would cost more than the history, which keeps none, is worth.
    small = n <= History.max_n
    error = estimate.standard_error if small else None
    loop.history.append(
        x=_point(loop, point.x) if small else math.nan,
        fun=estimate.fun,
        fun_standard_error=estimate.fun_standard_error,
        smoothed=float(estimate.sigma > 0),
        step=step,
        sigma=estimate.sigma,
        nfev=loop.evaluator.nfev,
        seconds=loop.clock(),
        standard_error=np.full(n if small else (), np.nan) if error is None else _derivative(loop, error),
    )


def _point(loop: Loop, x: torch.Tensor) -> NDArray[np.float64]:
    return as_array(loop.evaluator.unscale(x)).copy()


def _derivative(loop: Loop, derivative: torch.Tensor) -> NDArray[np.float64]:
    """A derivative over all parameters, in the problem's own units; 0 for those that are held."""
    run = loop.run
    return run.sought.whole(np.asarray(as_array(derivative) / run.sought.of(run.x_scale)))


def _error_bars(loop: Loop, point: Point | None) -> NDArray[np.float64] | None:
    """Error bars of the parameters, which are those of the last point."""
    if point is None or point is not loop.last or point.estimate.x_standard_error is None:
        return None
    run = loop.run
    return run.sought.whole(np.asarray(as_array(point.estimate.x_standard_error) * run.sought.of(run.x_scale)))


def _present(loop: Loop) -> Point | None:
    """What the answer would be now, by estimates alone.

    The last point; unless, where it has not converged, an earlier one was lower by more than two errors. A wide
    kernel's value is uncertain: one that has grown again is no reason to leave what a narrow one found.
    """
    if loop.last is None or loop.best is None:
        return loop.last
    last, best = loop.last.estimate, loop.best.estimate
    if loop.status.success or not loop.run.estimator.comparable:
        return loop.last
    if last.sigma > best.sigma and last.fun > best.fun:
        return loop.best
    margin = 2 * math.hypot(last.fun_standard_error, best.fun_standard_error)
    return loop.last if last.fun <= best.fun + margin else loop.best


def _message(loop: Loop) -> str:
    notes = [] if loop.last is None else [loop.last.estimate.note]
    if loop.answer is not None and loop.answer.note:
        notes = [loop.answer.note]
    if loop.last is None and loop.status is Status.MAXFEV:
        budget, cost = loop.evaluator.budget.maxfev, loop.run.estimator.cost(loop.evaluator.n)
        more = "" if cost > budget else ", the start one more"
        notes = [f"it is {budget:.0f}, and the first estimate takes {cost}{more}" if cost >= budget else ""]
    notes += [loop.evaluator.counts.summary, loop.keeping.note_of_result]
    return "; ".join([loop.status.value, *(note for note in notes if note)])


def result_of(loop: Loop) -> OptimizeResult:
    """Everything known now; what takes copying is worked out when asked for."""
    run, answer = loop.run, loop.answer
    point = _present(loop) if answer is None else answer.point
    x = None if point is None else point.x
    fun, error = (math.nan, math.nan) if point is None else (point.estimate.fun, point.estimate.fun_standard_error)
    if answer is not None:
        x, fun, error = answer.x, answer.fun, answer.fun_standard_error

    def at(of: torch.Tensor | None) -> Deferred | None:
        return None if of is None else Deferred(partial(_point, loop, of))

    def derivative(of: torch.Tensor | None) -> Deferred | None:
        return None if of is None else Deferred(partial(_derivative, loop, of))

    result = OptimizeResult(
        x=run.x0.copy() if x is None else at(x),
        fun=fun,
        fun_standard_error=error,
        jac=None if point is None else derivative(point.estimate.jac),
        standard_error=None if point is None else derivative(point.estimate.standard_error),
        x_standard_error=_error_bars(loop, point),
        x_last=None if loop.last is None else at(loop.last.x),
        fun_last=math.nan if loop.last is None else loop.last.estimate.fun,
        x_best=None if loop.best is None else at(loop.best.x),
        fun_best=math.nan if loop.best is None else loop.best.estimate.fun,
        success=loop.status.success,
        status=loop.status,
        message=_message(loop),
        nfev=loop.evaluator.nfev,
        nit=max(len(loop.history) - 1, 0),
        n_nonfinite=loop.evaluator.n_nonfinite,
        n_replayed=loop.keeping.replayed,
        seconds=loop.clock(),
        history=loop.history,
        problem=run.problem,
        estimator=run.estimator,
        method=run.method,
        choice=run.choice,
    )
    result["parameters"] = Deferred(lambda: run.problem.parameters(result.x))
    return result
