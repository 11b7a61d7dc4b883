"""Verdict: the status of a run after the values measured at its end."""

from __future__ import annotations

import math

import torch
from scipy.special import stdtrit

from invopt.core.result import Status
from invopt.run.ending.ending import Ending
from invopt.run.ending.measuring import Measured, is_same
from invopt.run.ending.probing import is_on_a_step

__all__ = ["descent", "verdict"]

# Share of the whole descent, and of the range of the values measured, by which another point may be lower than the
# point of convergence.
_DECREASE_LEFT = 1e-3
# Multiple of the noise variance above which residuals can be more than noise.
_FAR_ABOVE_NOISE = 3.0
# False-alarm rate of the tests for residuals above the noise, and for a decrease, one-sided.
_FALSE_ALARM = 5e-4
# Rounds that the test needs: with two, Student's t has one degree of freedom, and its critical value is 637.
_ROUNDS_FOR_TEST = 3
_BY_TOLERANCE = {Status.CONVERGED, Status.XTOL, Status.FTOL}


def verdict(
    ending: Ending,
    chosen: Measured,
    points: list[Measured],
    base: Measured,
    probes: list[Measured],
    *,
    noise: bool | None,
) -> tuple[Status, str]:
    """Return status and note of the answer; measured values must confirm a success.

    Parameters
    ----------
    ending : Ending
        How the run ended.
    chosen : Measured
        The answer.
    points : list of Measured
        All candidates, the last point of the run first.
    base : Measured
        The first candidate with a finite value.
    probes : list of Measured
        Points of `probes_around`.
    noise : bool or None
        Whether values at one point differ; None if unknown.
    """
    status = ending.status
    if not status.success:
        return status, ""
    if not math.isfinite(chosen.first):
        return Status.NONFINITE, ""
    if not points[0].values:
        return Status.UNSURE, _UNMEASURED
    if base is not points[0] or _refutes(chosen, base, points, probes, ending):
        return Status.UNSURE, _LOWER
    if base.first > ending.least and is_on_a_step(base, probes, all_unseen=ending.all_unseen):
        return Status.PLATEAU, ""
    if ending.exact_rule and noise is True:
        return Status.UNSURE, _NOISY
    if noise is True and _has_seen_only_noise(base, points, ending):
        return Status.UNSURE, _NO_DECREASE
    if status is Status.NOISE_FLOOR and noise is False and not ending.noise_seen:
        return Status.UNSURE, _NO_NOISE
    if _is_far_above_noise(base):
        return Status.MISMATCH, ""
    return status, ""


def descent(points: list[Measured], to: Measured, ending: Ending) -> float:
    """Return the decrease of the value from the start to a point.

    0 if the start was not measured.
    """
    decrease = _at_start(points, ending) - to.first
    return max(decrease, 0.0) if math.isfinite(decrease) else 0.0


def _at_start(points: list[Measured], ending: Ending) -> float:
    """Return the value measured at the start; nan if there is none."""
    return next((point.first for point in points if bool((point.x == ending.start).all())), math.nan)


def _has_seen_only_noise(base: Measured, points: list[Measured], ending: Ending) -> bool:
    """Return whether a sampled gradient vanishes, but values show no descent.

    On a plateau with little noise, a few samples give a small gradient, and a value that is low by chance.
    """
    if ending.status not in _BY_TOLERANCE or ending.last.estimate.sigma == 0:
        return False
    rounds = len(base.known)
    # Of the difference between one value and the mean of `rounds`, by Student's t.
    error = base.standard_error * math.sqrt(rounds + 1)
    return not _at_start(points, ending) - base.mean > -float(stdtrit(rounds - 1, _FALSE_ALARM)) * error


def _refutes(chosen: Measured, base: Measured, points: list[Measured], probes: list[Measured], ending: Ending) -> bool:
    """Return whether a point is too low for the run to have converged.

    It is lower than the point of convergence by more than convergence permits. A gradient below `gtol` permits the
    decrease of that slope over the distance, but at most a small share of the range of all values; otherwise a function
    of tiny values would converge everywhere.
    """
    if chosen is base or is_same(base.mean, chosen.mean):
        return False
    slope = ending.gtol * float(torch.linalg.vector_norm(chosen.x - base.x))
    seen = [point.first for point in [*points, *probes] if math.isfinite(point.first)]
    least = _DECREASE_LEFT * descent(points, chosen, ending) + min(slope, _DECREASE_LEFT * (max(seen) - min(seen)))
    return base.mean - chosen.mean > least


def _is_far_above_noise(point: Measured) -> bool:
    """Return whether the residuals significantly exceed the noise between seeds.

    All residuals can share one noise, such as a gain that changes with the seed. Each round is therefore projected onto
    the mean of the others, and the mean projection is compared with its scatter by Student's t.
    """
    rounds = len(point.vectors)
    if rounds < _ROUNDS_FOR_TEST:
        return False
    vectors = torch.stack(point.vectors)
    noise, value = float(vectors.var(0).mean()), float(vectors.square().mean())
    if not value > _FAR_ABOVE_NOISE * (noise + point.known_variance) or not noise > 0:
        return False
    others = (vectors.sum(0) - vectors) / (rounds - 1)
    common = (vectors * others).sum(1) / torch.linalg.vector_norm(others, dim=1)
    error = float(common.std()) * math.sqrt(1 + 1 / rounds)
    return float(common.mean()) > -float(stdtrit(rounds - 1, _FALSE_ALARM)) * error


_LOWER = "another point that was evaluated is lower than where the method ended, and is returned: start again from it"
_UNMEASURED = "too few evaluations were left to measure the value where the method ended: raise `maxfev`"
_NOISY = "values at one point differ, and the stopping rule is for exact values"
_NO_DECREASE = "values at the start and at the end differ by no more than their noise"
_NO_NOISE = "no noise was found when values were measured again"
