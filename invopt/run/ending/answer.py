"""The answer of a run: which of the points it has come by, the value there, and whether that bears the end out."""

from __future__ import annotations

import math

import numpy as np
import torch
from attrs import evolve, frozen
from numpy.typing import NDArray
from scipy.special import stdtrit
from torch import Tensor

from invopt.core.estimator import Point
from invopt.core.result import Status
from invopt.evaluate.seen import Lowest
from invopt.run.ending.measuring import Measured, Measuring, is_same
from invopt.run.ending.probing import is_on_a_step

__all__ = ["MOST", "Answer", "Ending", "find_answer", "without_measuring"]

# Evaluations that finding the answer may take.
MOST = 24
# Rounds, each under another seed, in which noisy values are compared.
_ROUNDS = 4
# Points that may outdo the last one in those rounds.
_CONTENDERS = 2
# Standard errors, and standard deviations of one value's noise, by which another point must be lower than the last one.
_CLEARLY, _BEYOND = 3.0, 2.0
# Shares of the whole descent: below the first, a lower value is no reason to leave the point that the method found;
# above the second, the method has not converged there.
_NEGLIGIBLE, _LEFT = 1e-9, 1e-3
# Multiple of the noise above which residuals are more than noise.
_FAR = 3.0
# Probability with which noise alone, seen under few seeds, is taken for more.
_FALSE_ALARM = 5e-4


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
    return Answer(x=x, point=_at(x, ending), fun=fun, fun_standard_error=error, status=ending.status)


def find_answer(ending: Ending, measuring: Measuring) -> Answer:
    """Measure the candidates, choose one, and see whether it bears out how the run ended."""
    points = _candidates(ending)[: max(measuring.left - 1, 1)]
    # In pairs, as many as the allowance pays, with one evaluation left to see noise.
    affordable = max(measuring.left - len(points) - 1, 0) // 2 * 2
    probes = [Measured(x) for x in ending.probes[:affordable]] if ending.status.success else []
    measuring.round([*points, *probes])
    finite = [point for point in [*points, *probes] if math.isfinite(point.first)]
    if not finite:
        answer = without_measuring(ending)
        refuted = ending.status.success and not math.isfinite(answer.fun)
        return evolve(answer, status=Status.NONFINITE) if refuted else answer
    base = points[0] if math.isfinite(points[0].first) else min(finite, key=lambda point: point.first)
    contenders = sorted((point for point in finite if point.first < base.first), key=lambda point: point.first)
    # In their old order again: points that the method visited first.
    compared = [base, *(point for point in finite if any(point is other for other in contenders[:_CONTENDERS]))]
    measuring.round(compared[:2])
    again = [point for point in compared if len(point.known) > 1]
    noisy = any(not is_same(point.first, point.known[1]) for point in again)
    if noisy:
        for _ in range(_ROUNDS - 2):
            measuring.round(compared)
    chosen = _lowest_noisy(compared, measuring) if noisy else _lowest(compared, _drop(points, base))
    status, note = _verdict(ending, chosen, points, base, probes, noise=noisy if again else None)
    return Answer(
        x=chosen.x,
        point=_at(chosen.x, ending),
        fun=chosen.mean if noisy else chosen.first,
        fun_standard_error=0.0 if again and not noisy else chosen.standard_error,
        status=status,
        note=note,
    )


def _candidates(ending: Ending) -> list[Measured]:
    """The last point first; each point once."""
    found: list[Measured] = []
    best, lowest = (None if point is None else point.x for point in (ending.best, ending.lowest))
    for x in (ending.last.x, best, lowest, ending.start):
        if x is not None and not any(bool((x == other.x).all()) for other in found):
            found.append(Measured(x))
    return found


def _at(x: Tensor, ending: Ending) -> Point | None:
    """The visited point there, with its estimate."""
    for point in (ending.last, ending.best):
        if point is not None and bool((point.x == x).all()):
            return point
    return None


def _drop(points: list[Measured], base: Measured) -> float:
    """How far the run has come down from the start, which is the last of the points, if it was measured; at least 0."""
    start = points[-1].first
    return max(start - base.first, 0.0) if math.isfinite(start) else 0.0


def _lowest(compared: list[Measured], drop: float) -> Measured:
    """The first point that is as low as the lowest, up to rounding and a negligible share of the whole descent."""
    lowest = min(point.first for point in compared)
    least = _NEGLIGIBLE * drop
    return next(point for point in compared if point.first - lowest <= least or is_same(point.first, lowest))


def _lowest_noisy(compared: list[Measured], measuring: Measuring) -> Measured:
    """The first point, unless another is clearly lower, and clearly lower once more under other seeds."""
    base = compared[0]
    lower = min((point for point in compared[1:] if _is_clearly_lower(point, base)), key=_mean, default=base)
    if lower is base:
        return base
    # Chosen for being low, it has been lucky; new values have not.
    again = [Measured(base.x), Measured(lower.x)]
    for _ in range(_ROUNDS):
        measuring.round(again)
    if not _is_clearly_lower(again[1], again[0]):
        return base
    lower.values, lower.vectors = again[1].values, again[1].vectors
    return lower


def _mean(point: Measured) -> float:
    return point.mean


def _is_clearly_lower(point: Measured, base: Measured) -> bool:
    k = min(len(point.values), len(base.values))
    values = np.array(base.values[:k])
    differences = np.array(point.values[:k]) - values
    if k < 2 or not np.isfinite(differences).all():
        return False
    # Values near the largest float have deviations that are none; infinite ones refute nothing.
    with np.errstate(over="ignore"):
        return _differ(differences, values)


def _differ(differences: NDArray[np.float64], values: NDArray[np.float64]) -> bool:
    k = len(values)
    least = max(_CLEARLY * differences.std(ddof=1) / math.sqrt(k), _BEYOND * values.std(ddof=1))
    return bool(differences.mean() < -least)


def _verdict(
    ending: Ending,
    chosen: Measured,
    points: list[Measured],
    base: Measured,
    probes: list[Measured],
    *,
    noise: bool | None,
) -> tuple[Status, str]:
    """What is said of the end; a success must be borne out by what was measured. `noise` is None where unknown."""
    status = ending.status
    if not status.success:
        return status, ""
    if not math.isfinite(chosen.first):
        return Status.NONFINITE, ""
    if base is not points[0] or _refutes(chosen, base, _drop(points, chosen), ending):
        return Status.UNSURE, _LOWER
    if base.first > ending.least and is_on_a_step(base, probes, all_unseen=ending.all_unseen):
        return Status.PLATEAU, ""
    if ending.exact_rule and noise is True:
        return Status.UNSURE, _NOISY
    if status is Status.NOISE_FLOOR and noise is False and not ending.noise_seen:
        return Status.UNSURE, _NO_NOISE
    if _is_far_above_noise(base):
        return Status.MISMATCH, ""
    return status, ""


def _refutes(chosen: Measured, base: Measured, drop: float, ending: Ending) -> bool:
    """Whether a lower point is lower by more than a run that has converged may leave."""
    if chosen is base:
        return False
    distance = float(torch.linalg.vector_norm(chosen.x - base.x))
    left = base.mean - chosen.mean
    return left > _LEFT * drop + ending.gtol * distance and not is_same(base.mean, chosen.mean)


def _is_far_above_noise(point: Measured) -> bool:
    """Whether residuals are clearly more than the noise that seeds change.

    Noise can be one for all residuals, as a gain is that changes with the seed. What seeds have in common must
    therefore stand out of what they change along it: by Student's t, for the parameters were fitted under one of them.
    """
    rounds = len(point.vectors)
    if rounds < 3:
        return False
    vectors = torch.stack(point.vectors)
    noise, value = float(vectors.var(0).mean()), float(vectors.square().mean())
    if not value > _FAR * noise > 0:
        return False
    others = (vectors.sum(0) - vectors) / (rounds - 1)
    common = (vectors * others).sum(1) / torch.linalg.vector_norm(others, dim=1)
    error = float(common.std()) * math.sqrt(1 + 1 / rounds)
    return float(common.mean()) > -float(stdtrit(rounds - 1, _FALSE_ALARM)) * error


_LOWER = "another point that was evaluated is lower than where the method ended, and is returned: start again from it"
_NOISY = "values at one point differ, so that a rule for exact values says little"
_NO_NOISE = "no noise was found when values were measured again"
