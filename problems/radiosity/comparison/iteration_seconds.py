"""Seconds per iteration of estimators."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from invopt.plugin import OptimizeResult, minimize_on

from ..objective import RadiosityObjective

__all__ = ["seconds_per_iteration", "synchronize"]

# Iterations before the first block, which compile the kernels.
_WARM_UP = 3


def seconds_per_iteration(
    live: RadiosityObjective,
    estimators: Sequence[Any],
    *,
    x0: NDArray[np.float64],
    blocks: int = 5,
    iterations: int = 20,
) -> Iterator[tuple[list[float], float]]:
    """Measure seconds per iteration of several estimators.

    Their blocks alternate, so that other load on the machine slows down all of them.

    Yields
    ------
    seconds, memory
        For each estimator, seconds per iteration in each block, and the peak of the GPU's memory in bytes, which is nan
        on a CPU.
    """
    spent: list[list[float]] = [[] for _ in estimators]
    memory = [math.nan] * len(estimators)
    for block in range(-1, blocks):
        for i, estimator in enumerate(estimators):
            seconds, memory[i] = _timed(live, estimator, x0, block + 1, iterations if block >= 0 else _WARM_UP)
            if block >= 0:
                spent[i].append(seconds / iterations)
    yield from zip(spent, memory, strict=True)


def _timed(
    live: RadiosityObjective, estimator: Any, x0: NDArray[np.float64], seed: int, iterations: int
) -> tuple[float, float]:
    """Seconds of so many iterations, and the peak of the GPU's memory in bytes."""
    cuda = live.device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    clock = _Clock(live)
    minimize_on(live, live.problem, estimator, x0=x0, rng=seed, maxiter=iterations, callback=clock, progress=False)
    return clock.seconds, float(torch.cuda.max_memory_allocated()) if cuda else math.nan


class _Clock:
    """Callback that measures the seconds from the first iteration to the last.

    Neither the start of the run nor the making of its result is included.
    """

    def __init__(self, live: RadiosityObjective) -> None:
        self.seconds = 0.0
        self._live, self._began = live, 0.0

    def __call__(self, *, intermediate_result: OptimizeResult) -> None:
        if intermediate_result.nit == 0:
            synchronize(self._live)
            self._began = time.perf_counter()
        # No need to wait for a GPU here: every iteration reads the loss, which does.
        self.seconds = time.perf_counter() - self._began


def synchronize(live: RadiosityObjective) -> None:
    """Wait until the GPU has finished."""
    if live.device.type == "cuda":
        torch.cuda.synchronize()
