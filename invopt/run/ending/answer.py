"""Choose the answer of a run among its points, and measure its value."""

from __future__ import annotations

import math

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from invopt.core.result import Status
from invopt.run.ending.ending import Answer, Ending, visited, without_measuring
from invopt.run.ending.measuring import Measured, Measuring, is_same
from invopt.run.ending.verdict import descent, verdict

__all__ = ["MOST_EVALUATIONS", "find_answer"]

# Rounds, each under another seed, in which noisy values are compared.
_ROUNDS = 4
# Share of the whole descent below which a lower value does not replace the point that the method found. Constraints are
# allowed 1e-6 of rounding, for which a value is lower by this times a multiplier; under them it is a share of the value
# too, because a start that is not feasible has no descent.
_NEGLIGIBLE, _NEGLIGIBLE_UNDER_CONSTRAINTS = 1e-9, 1e-5
# Points that are compared with the last one in these rounds.
_CONTENDERS = 2
# Largest number of evaluations for the answer. Under noise, 4 candidates and 2 probes once, 2 points again, 3 points
# twice more and 2 points in 4 further rounds are 22.
MOST_EVALUATIONS = 24
# Rounds that a standard deviation needs.
_LEAST_ROUNDS = 2
# Another point replaces the last one if it is lower by three standard errors of the difference, and by two standard
# deviations of the noise of one value.
_STANDARD_ERRORS, _STANDARD_DEVIATIONS = 3.0, 2.0


def find_answer(ending: Ending, measuring: Measuring) -> Answer:
    """Measure the candidates and choose the answer.

    The status of the run is checked against the values.
    """
    points = _candidates(ending)
    if measuring.left <= len(points):
        return _of_few(ending, points, measuring)
    # As many pairs as the allowance permits, with one evaluation left to detect noise.
    affordable = max(measuring.left - len(points) - 1, 0) // 2 * 2
    probes = [Measured(x) for x in ending.probes[:affordable]] if ending.status.success else []
    measuring.round([*_in_order(points, ending), *probes])
    finite = [point for point in [*points, *probes] if math.isfinite(point.first)]
    if not finite:
        return _without_finite(ending)
    base = points[0] if math.isfinite(points[0].first) else min(finite, key=lambda point: point.first)
    compared = [base, *_contenders(finite, base)]
    measuring.round(compared[:2])
    again = [point for point in compared if len(point.known) > 1]
    noisy = any(not is_same(point.first, point.known[1]) for point in again)
    if noisy:
        for _ in range(_ROUNDS - 2):
            measuring.round(compared)
    chosen = _lowest_noisy(compared, measuring) if noisy else _lowest(compared, _negligible(points, base, ending))
    status, note = verdict(ending, chosen, points, base, probes, noise=noisy if again else None)
    return Answer(
        x=chosen.x,
        point=visited(chosen.x, ending),
        fun=chosen.mean if noisy else chosen.first,
        fun_standard_error=0.0 if again and not noisy else chosen.standard_error,
        status=status,
        note=note,
    )


def _contenders(finite: list[Measured], base: Measured) -> list[Measured]:
    """Return the lowest points below `base`, in the given order.

    In that order visited points are first.
    """
    lower = sorted((point for point in finite if point.first < base.first), key=lambda point: point.first)
    return [point for point in finite if any(point is other for other in lower[:_CONTENDERS])]


def _candidates(ending: Ending) -> list[Measured]:
    """Return the last point, the best, the lowest and the start, each point once."""
    found: list[Measured] = []
    best, lowest = (None if point is None else point.x for point in (ending.best, ending.lowest))
    for x in (ending.last.x, best, lowest, ending.start):
        if x is not None and not any(bool((x == other.x).all()) for other in found):
            found.append(Measured(x))
    return found


def _in_order(points: list[Measured], ending: Ending) -> list[Measured]:
    """Return the points in the order of their measurement."""
    if not ending.start_first:
        return points
    return sorted(points, key=lambda point: not bool((point.x == ending.start).all()))


def _without_finite(ending: Ending) -> Answer:
    """Return the answer of a run in which no measured value is finite."""
    answer = without_measuring(evolve(ending, start_known=True))
    refuted = ending.status.success and not math.isfinite(answer.fun)
    return evolve(answer, status=Status.NONFINITE) if refuted else answer


def _of_few(ending: Ending, points: list[Measured], measuring: Measuring) -> Answer:
    """Return the answer where the allowance is small.

    It is too small to measure all candidates and one of them twice. The lowest value of the run is known, and the
    start's if it was evaluated. Measured are, in this order: the start, unless it is known; the last point, which may
    have no value yet; the lowest again, where another value means noise.
    """
    lowest = ending.lowest
    measuring.round(_by_need(points, ending)[: measuring.left])
    at_lowest = next((point for point in points if lowest is not None and bool((point.x == lowest.x).all())), None)
    noise = None
    if lowest is not None and at_lowest is not None:
        if not at_lowest.values:
            at_lowest.values.append(lowest.fun)
        elif at_lowest.known:
            noise = not is_same(at_lowest.first, lowest.fun)
    finite = [point for point in points if math.isfinite(point.first)]
    if not finite:
        return _without_finite(ending)
    base = points[0] if math.isfinite(points[0].first) else min(finite, key=_mean)
    chosen = _lowest(finite, _negligible(points, base, ending))
    status, note = verdict(ending, chosen, points, base, [], noise=noise)
    return Answer(
        x=chosen.x,
        point=visited(chosen.x, ending),
        fun=chosen.first,
        fun_standard_error=0.0 if noise is False else math.inf,
        status=status,
        note=note,
    )


def _by_need(points: list[Measured], ending: Ending) -> list[Measured]:
    """Return the points, the most important first.

    This is for an allowance that is too small for all.
    """
    wanted = [ending.last.x, *(() if ending.lowest is None else (ending.lowest.x,))]
    wanted = [*wanted, ending.start] if ending.start_known else [ending.start, *wanted]

    def rank(point: Measured) -> int:
        return next((i for i, x in enumerate(wanted) if bool((point.x == x).all())), len(wanted))

    return sorted(points, key=rank)


def _negligible(points: list[Measured], base: Measured, ending: Ending) -> float:
    """Return by how much a value may be lower without replacing `base`.

    A run that a budget ended has found none.
    """
    if not ending.status.success:
        return 0.0
    whole = descent(points, base, ending)
    return _NEGLIGIBLE_UNDER_CONSTRAINTS * (whole + abs(base.first)) if ending.constrained else _NEGLIGIBLE * whole


def _lowest(compared: list[Measured], least: float) -> Measured:
    """Return the first point that is as low as the lowest.

    Up to rounding and `least`.
    """
    lowest = min(point.first for point in compared)
    return next(point for point in compared if point.first - lowest <= least or is_same(point.first, lowest))


def _lowest_noisy(compared: list[Measured], measuring: Measuring) -> Measured:
    """Return the first point, unless another is significantly lower.

    The other must be so twice, under different seeds.
    """
    base = compared[0]
    lower = min((point for point in compared[1:] if _is_significantly_lower(point, base)), key=_mean, default=base)
    if lower is base:
        return base
    if measuring.left < _LEAST_ROUNDS * 2:
        return lower
    # Its values are biased, because it was selected for being low; new values are not.
    again = [Measured(base.x), Measured(lower.x)]
    for _ in range(_ROUNDS):
        measuring.round(again)
    if not _is_significantly_lower(again[1], again[0]):
        return base
    lower.values, lower.vectors = again[1].values, again[1].vectors
    return lower


def _mean(point: Measured) -> float:
    return point.mean


def _is_significantly_lower(point: Measured, base: Measured) -> bool:
    k = min(len(point.values), len(base.values))
    values = np.array(base.values[:k])
    differences = np.array(point.values[:k]) - values
    if k == 0 or not np.isfinite(differences).all():
        return False
    # Deviations of values near the largest float overflow to inf, and then nothing is significant.
    with np.errstate(over="ignore"):
        if k < _LEAST_ROUNDS:
            # The budget permits one value here: only the other point's values can show the noise.
            return len(base.known) > 1 and bool(differences[0] < -_STANDARD_DEVIATIONS * np.std(base.known, ddof=1))
        return _differ(differences, values)


def _differ(differences: NDArray[np.float64], values: NDArray[np.float64]) -> bool:
    k = len(values)
    least = max(_STANDARD_ERRORS * differences.std(ddof=1) / math.sqrt(k), _STANDARD_DEVIATIONS * values.std(ddof=1))
    return bool(differences.mean() < -least)
