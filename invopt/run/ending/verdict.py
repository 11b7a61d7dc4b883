"""Whether what was measured at the end of a run bears out how it ended."""

from __future__ import annotations

import math

import torch
from scipy.special import stdtrit

from invopt.core.result import Status
from invopt.run.ending.ending import Ending
from invopt.run.ending.measuring import Measured, is_same
from invopt.run.ending.probing import is_on_a_step

__all__ = ["descent", "verdict"]

# Share of the whole descent, and of the range of the values measured, above which a lower point says that the method
# has not converged.
_LEFT = 1e-3
# Multiple of the noise above which residuals are more than noise.
_FAR = 3.0
# Probability with which noise alone, seen under few seeds, is taken for more.
_FALSE_ALARM = 5e-4


def verdict(
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
    if not points[0].values:
        return Status.UNSURE, _UNMEASURED
    if base is not points[0] or _refutes(chosen, base, points, probes, ending):
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


def descent(points: list[Measured], to: Measured, ending: Ending) -> float:
    """How far the run has come down from the start to a point, if the start was measured; at least 0."""
    start = next((point.first for point in points if bool((point.x == ending.start).all())), math.nan)
    return max(start - to.first, 0.0) if math.isfinite(start) else 0.0


def _refutes(chosen: Measured, base: Measured, points: list[Measured], probes: list[Measured], ending: Ending) -> bool:
    """Whether a lower point is lower by more than a run that has converged may leave.

    A gradient below `gtol` may leave a step of that slope; but no more than a small share of all that was seen, or
    a function of tiny values would have converged everywhere.
    """
    if chosen is base or is_same(base.mean, chosen.mean):
        return False
    slope = ending.gtol * float(torch.linalg.vector_norm(chosen.x - base.x))
    seen = [point.first for point in [*points, *probes] if math.isfinite(point.first)]
    least = _LEFT * descent(points, chosen, ending) + min(slope, _LEFT * (max(seen) - min(seen)))
    return base.mean - chosen.mean > least


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
_UNMEASURED = "too few evaluations were left to measure the value where the method ended: raise `maxfev`"
_NOISY = "values at one point differ, so that a rule for exact values says little"
_NO_NOISE = "no noise was found when values were measured again"
