"""Measure training: errors along the way, and seconds per iteration of several estimators, which take turns."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from invopt.plugin import OptimizeResult, minimize_on

from .objective import RadiosityObjective
from .pictures.metrics import compare, flip, has_flip

__all__ = ["Training", "seconds_per_iteration"]


class Training:
    """Errors of a field while it is trained, the evaluations being on no one's clock; FLIP where it is installed.

    Parameters
    ----------
    live : RadiosityObjective
        The open scene.
    truth : ndarray, shape (height, width, 3)
        Reference picture.
    every : int
        Iterations between evaluations.
    spp : int, default 4
        Rays through a pixel of the left side.
    seconds : float, default inf
        Time after which training ends, evaluations not counted.
    """

    def __init__(
        self,
        live: RadiosityObjective,
        truth: NDArray[np.float32],
        *,
        every: int,
        spp: int = 4,
        seconds: float = math.inf,
    ) -> None:
        self.live, self.truth = live, truth
        self.every, self.spp, self.seconds = every, spp, seconds
        self.size = (truth.shape[1], truth.shape[0])
        self._emitting = live.emitting_pixels(size=self.size)
        self.rows: list[dict[str, float]] = []
        self._away = 0.0

    def run(self, estimator: Any, method: Any, *, x0: Any, rng: int, maxiter: int) -> OptimizeResult:
        """Train with an estimator; `rows` then holds the errors along the way."""
        self.rows, self._away, self._began = [], 0.0, time.perf_counter()
        options: dict[str, Any] = {"x0": x0, "rng": rng, "maxiter": maxiter, "callback": self, "progress": False}
        return minimize_on(self.live, self.live.problem, estimator, method, **options)

    def __call__(self, *, intermediate_result: OptimizeResult) -> None:
        """Measure, when it is time."""
        synchronize(self.live)
        spent = time.perf_counter() - self._began - self._away
        nit, over = intermediate_result.nit, spent >= self.seconds
        if nit % self.every and not over:
            return
        stopped = time.perf_counter()
        picture = self.live.render(intermediate_result.x, spp=self.spp, size=self.size)
        errors = compare(picture, self.truth, self._emitting).to_dict()
        if has_flip():
            errors["flip"] = flip(picture, self.truth)
        self.rows.append({"nit": nit, "seconds": spent, "loss": intermediate_result.fun, **errors})
        self._away += time.perf_counter() - stopped
        if over:
            raise StopIteration


def seconds_per_iteration(
    live: RadiosityObjective, estimators: Sequence[Any], *, x0: Any, blocks: int = 5, iterations: int = 20
) -> Iterator[tuple[Any, list[float], float]]:
    """Seconds per iteration of each estimator in each of several blocks, the estimators taking turns.

    Yields
    ------
    estimator, seconds, memory
        Seconds per iteration in each block, and the most memory a GPU held, in bytes; nan on the CPU.
    """
    spent: list[list[float]] = [[] for _ in estimators]
    memory = [math.nan] * len(estimators)
    for block in range(-1, blocks):
        for i, estimator in enumerate(estimators):
            cuda = live.device.type == "cuda"
            if cuda:
                torch.cuda.reset_peak_memory_stats()
            clock = _Clock(live)
            minimize_on(
                live,
                live.problem,
                estimator,
                x0=x0,
                rng=block + 1,
                maxiter=iterations if block >= 0 else 3,
                callback=clock,
                progress=False,
            )
            # The first block compiles kernels.
            if block >= 0:
                spent[i].append(clock.seconds / iterations)
            if cuda:
                memory[i] = float(torch.cuda.max_memory_allocated())
    yield from zip(estimators, spent, memory, strict=True)


class _Clock:
    """Seconds from the first iteration of a run to its last: without its start, and what its result takes to copy."""

    def __init__(self, live: RadiosityObjective) -> None:
        self.live, self.seconds, self._began = live, 0.0, 0.0

    def __call__(self, *, intermediate_result: OptimizeResult) -> None:
        if intermediate_result.nit == 0:
            synchronize(self.live)
            self._began = time.perf_counter()
        # A GPU is waited for every iteration anyhow, for the loss is read.
        self.seconds = time.perf_counter() - self._began


def synchronize(live: RadiosityObjective) -> None:
    """Wait for what the GPU still does."""
    if live.device.type == "cuda":
        torch.cuda.synchronize()
