"""Errors of a field during its training."""

from __future__ import annotations

import math
import time

import numpy as np
from numpy.typing import NDArray

from invopt.plugin import OptimizeResult

from ..objective import RadiosityObjective
from ..pictures.metrics import compare, flip, has_flip
from .iteration_seconds import synchronize

__all__ = ["METRICS", "TrainingErrors"]

# What pictures are compared by; FLIP where it is installed.
METRICS = ("mse", "relmse", "mape", "energy", *(["flip"] if has_flip() else []))


class TrainingErrors:
    """Callback that measures errors of the left side and stops after a given time.

    The time that the measurements take does not count.

    Parameters
    ----------
    live : RadiosityObjective
        The open scene.
    truth : ndarray, shape (height, width, 3)
        Reference picture.
    every : int
        Iterations between two measurements.
    spp : int, default 4
        Rays through each pixel.
    seconds : float, default inf
        Training time after which the run ends.

    Attributes
    ----------
    rows : list of dict
        Iteration, seconds, loss and errors of each measurement.
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
        self._live, self._truth = live, truth
        self._every, self._spp, self._seconds = every, spp, seconds
        self._size = (truth.shape[1], truth.shape[0])
        self._emitting = live.emitting_pixels(size=self._size)
        self.rows: list[dict[str, float]] = []
        self._began, self._measuring = time.perf_counter(), 0.0

    def __call__(self, *, intermediate_result: OptimizeResult) -> None:
        """Measure if this iteration is one to be measured, or the last."""
        synchronize(self._live)
        spent = time.perf_counter() - self._began - self._measuring
        nit, over = intermediate_result.nit, spent >= self._seconds
        if nit % self._every and not over:
            return
        stopped = time.perf_counter()
        picture = self._live.render(intermediate_result.x, spp=self._spp, size=self._size)
        errors = compare(picture, self._truth, self._emitting).to_dict()
        if has_flip():
            errors["flip"] = flip(picture, self._truth)
        self.rows.append({"nit": nit, "seconds": spent, "loss": intermediate_result.fun, **errors})
        self._measuring += time.perf_counter() - stopped
        if over:
            raise StopIteration

    def fail(self, result: OptimizeResult) -> None:
        """Add a row of infinite errors: a training that failed must count as the worst."""
        self.rows.append({"nit": result.nit, "seconds": result.seconds, **dict.fromkeys(METRICS, math.inf)})
