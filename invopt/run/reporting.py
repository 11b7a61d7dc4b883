"""Rows of a run's history, and its result."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from invopt.core.estimator import Incumbent, Point
from invopt.core.priors import nats_of
from invopt.core.result import Deferred, History, OptimizeResult, Status
from invopt.run.keeping.keeping import Keeping
from invopt.run.standing import Standing

__all__ = ["as_array", "record", "result_of"]


def as_array(x: torch.Tensor) -> NDArray[np.float64]:
    """Return a tensor of the loop as an array for users."""
    array: NDArray[np.float64] = x.detach().cpu().double().numpy()
    return array


def record(standing: Standing, point: Point, step: float) -> None:
    """Add a row to the history of a run."""
    estimate, n = point.estimate, standing.run.problem.n
    shown = estimate.incumbent or Incumbent(point.x, estimate.fun)
    # The history keeps no large points, and copying a network's weights every iteration would take long.
    small = n <= History.max_n
    error = estimate.standard_error if small else None
    standing.history.append(
        x=_point(standing, shown.x) if small else math.nan,
        fun=shown.fun,
        fun_standard_error=estimate.fun_standard_error,
        smoothed=float(estimate.sigma > 0),
        step=step,
        sigma=estimate.sigma,
        nfev=standing.evaluator.nfev,
        seconds=standing.clock(),
        standard_error=np.full(n if small else (), np.nan) if error is None else _derivative(standing, error),
    )


def _point(standing: Standing, x: torch.Tensor) -> NDArray[np.float64]:
    return as_array(standing.evaluator.unscale(x)).copy()


def _derivative(standing: Standing, derivative: torch.Tensor) -> NDArray[np.float64]:
    """Return a derivative over all parameters, in the problem's units.

    0 for those fixed by their bounds.
    """
    run = standing.run
    return run.sought.whole(np.asarray(as_array(derivative) / run.sought.of(run.x_scale)))


def _error_bars(standing: Standing, point: Point | None) -> NDArray[np.float64] | None:
    """Return the standard errors of the parameters at `point`.

    None unless it is the last point and has them.
    """
    if point is None or point is not standing.last or point.estimate.x_standard_error is None:
        return None
    return standing.evaluator.whole_errors(point.x, as_array(point.estimate.x_standard_error))


def _covariance(standing: Standing, point: Point | None) -> NDArray[np.float64] | None:
    """Return the covariance of the errors at `point`, as `_error_bars` does."""
    if point is None or point is not standing.last or point.estimate.x_covariance is None:
        return None
    sought, scale = standing.run.sought, standing.run.sought.of(standing.run.x_scale)
    scaled = as_array(point.estimate.x_covariance) * np.outer(scale, scale)
    rows = np.array([sought.whole(row) for row in scaled])
    return np.array([sought.whole(column) for column in rows.T])


def _share_of_prior(standing: Standing, x: torch.Tensor | None) -> float:
    """Return the prior's share of the value at `x`.

    Nan if the number of residuals is not known.
    """
    problem, evaluator = standing.run.problem, standing.evaluator
    if problem.prior is None:
        return 0.0
    nats = nats_of(problem.prior, standing.run.x0 if x is None else _point(standing, x))
    if problem.noise_std is None:
        return nats
    count = evaluator.width
    # The value is the mean of `count` squares of this variance.
    return math.nan if count is None else 2 * evaluator.row_variance(count) / count * nats


def _present(standing: Standing) -> Point | None:
    """Return the answer by estimates alone, for results before the end.

    It is the last point, unless the run has not converged and an earlier point was lower by more than two standard
    errors. A large sigma makes values uncertain: if sigma has grown, a point of a smaller sigma with a lower value
    stays.
    """
    if standing.last is None or standing.best is None:
        return standing.last
    last, best = standing.last.estimate, standing.best.estimate
    if standing.status.success or not standing.run.estimator.comparable:
        return standing.last
    if last.sigma > best.sigma and last.fun > best.fun:
        return standing.best
    margin = 2 * math.hypot(last.fun_standard_error, best.fun_standard_error)
    return standing.last if last.fun <= best.fun + margin else standing.best


def _message(standing: Standing, keeping: Keeping) -> str:
    notes = [] if standing.last is None else [standing.last.estimate.note]
    if standing.answer is not None and standing.answer.note:
        notes = [standing.answer.note]
    if standing.last is None and standing.status is Status.MAXFEV:
        budget, cost = standing.evaluator.budget.maxfev, standing.run.estimator.cost(standing.evaluator.n)
        more = "" if cost > budget else ", the start one more"
        notes = [f"`maxfev` is {budget:.0f}, and the first estimate takes {cost}{more}" if cost >= budget else ""]
    notes += [standing.evaluator.counts.summary, keeping.note_of_result]
    return "; ".join([standing.status.value, *(note for note in notes if note)])


def result_of(standing: Standing, keeping: Keeping) -> OptimizeResult:
    """Return the result so far; entries that take copying are computed when read."""
    run = standing.run
    result = OptimizeResult(
        **_answer_entries(standing),
        **_visited_entries(standing),
        success=standing.status.success,
        status=standing.status,
        message=_message(standing, keeping),
        nfev=standing.evaluator.nfev,
        nit=max(len(standing.history) - 1, 0),
        n_nonfinite=standing.evaluator.n_nonfinite,
        n_replayed=keeping.replayed,
        seconds=standing.clock(),
        history=standing.history,
        problem=run.problem,
        estimator=run.estimator,
        method=run.method,
        choice="; ".join(part for part in (run.choice, standing.chosen) if part),
    )
    if run.problem.constraints is not None and standing.answer is not None:
        result.update(_constraint_entries(standing, standing.answer.x))
    result.update(standing.measurements)
    result["identifiability"] = getattr(standing.evaluator, "identifiability", None)
    result["parameters"] = Deferred(lambda: run.problem.parameters(result.x))
    result["parameter_errors"] = Deferred(lambda: run.problem.parameter_errors(result) or None)
    return result


def _constraint_entries(standing: Standing, x: torch.Tensor) -> dict[str, Any]:
    """Entries of the constraints at the answer; nan if they are not known there."""
    limits, row = standing.run.problem.constraints, standing.evaluator.seen.row(x)
    if row is None:
        return {"constr": np.full(limits.low.size, math.nan), "maxcv": math.nan}
    return {"constr": row[1:].copy(), "maxcv": float(limits.violations(row[None]).max(initial=0.0))}


def _answer_entries(standing: Standing) -> dict[str, Any]:
    """Entries of the answer, measured or by estimates.

    Its derivatives and standard errors are included.
    """
    answer = standing.answer
    point = _present(standing) if answer is None else answer.point
    estimate = None if point is None else point.estimate
    x, fun, error = None if point is None else point.x, math.nan, math.nan
    if answer is not None:
        x, fun, error = answer.x, answer.fun, answer.fun_standard_error
    elif estimate is not None:
        fun, error = estimate.fun, estimate.fun_standard_error
    return {
        "x": standing.run.x0.copy() if x is None else _deferred(_point, standing, x),
        "fun": fun,
        "fun_prior": Deferred(partial(_share_of_prior, standing, x)),
        "fun_standard_error": error,
        "jac": None if estimate is None else _deferred(_derivative, standing, estimate.jac),
        "standard_error": None if estimate is None else _deferred(_derivative, standing, estimate.standard_error),
        "x_standard_error": _error_bars(standing, point),
        "covariance": _covariance(standing, point),
    }


def _visited_entries(standing: Standing) -> dict[str, Any]:
    """Entries of the last point and of the one with the lowest estimate."""
    entries: dict[str, Any] = {}
    for name, point in (("last", standing.last), ("best", standing.best)):
        entries[f"x_{name}"] = None if point is None else _deferred(_point, standing, point.x)
        entries[f"fun_{name}"] = math.nan if point is None else point.estimate.fun
    return entries


def _deferred(
    convert: Callable[[Standing, torch.Tensor], NDArray[np.float64]], standing: Standing, of: torch.Tensor | None
) -> Deferred | None:
    return None if of is None else Deferred(partial(convert, standing, of))
