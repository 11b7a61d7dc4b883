"""Restarts: what follows a descent that has ended above the noise."""

from __future__ import annotations

import math

from attrs import evolve
from torch import Tensor

from invopt.plugin import Estimate, Lowest

from .history import HistoryState, Sample

__all__ = ["best_descent", "moved_to", "restarted"]


def moved_to(estimate: Estimate, x: Tensor, fun: float = 0.0) -> Estimate:
    """Let the next step of `Newton` lead to `x`, whatever its model predicts."""
    return evolve(estimate, lowest=Lowest(x, fun, lambda step: math.inf))


def restarted(estimate: Estimate, state: HistoryState, restarts: int) -> tuple[Estimate, HistoryState]:
    """Restart with the first sigma: alternately at the start of the run and here.

    `restarts` is the number allowed for the whole run.
    """
    floor, best = state.floor.restarted(), _without_noise(state)
    if state.best is not None and state.best.fun < best.fun:
        best = state.best
    if (restarts - floor.restarts) % 2 == 1:
        assert state.origin is not None
        estimate = moved_to(estimate, state.origin)
    # Samples with another number of samples per pixel have another noise.
    kept = state.batches if state.floor.factor == 1 else ()
    state = evolve(state, sigma=state.first, floor=floor, wide=True, step=None, lowest=None, best=best)
    return estimate, evolve(state, batches=kept)


def best_descent(estimate: Estimate, state: HistoryState) -> tuple[Estimate, HistoryState]:
    """Go to the lowest descent of all.

    None has reached the noise, and no restart is left.
    """
    estimate, here = evolve(estimate, note=state.floor.too_high), _without_noise(state)
    if state.best is None or here.fun <= state.best.fun:
        return estimate, state
    # This happens once; from then on sigma goes on to shrink.
    lowest = Sample(state.best.x, state.best.fun + state.floor.level)
    return moved_to(estimate, *lowest), evolve(state, lowest=lowest, best=None, wide=True)


def _without_noise(state: HistoryState) -> Sample:
    """Lowest sample less the mean square of the noise, which differs between descents."""
    assert state.lowest is not None
    return Sample(state.lowest.x, state.lowest.fun - state.floor.level)
