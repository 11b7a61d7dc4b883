"""RecordedObjective: counts evaluations and notes the noise-free values."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from invopt.bench.counted import CountedObjective

from .problem import MoreWildObjective

__all__ = ["RecordedObjective"]


class RecordedObjective(CountedObjective):
    """Objective that counts, and notes the noise-free value of each evaluation.

    What a run reports plays no part.

    Parameters
    ----------
    objective : MoreWildObjective
        The open objective.

    Attributes
    ----------
    values : list of float
        Noise-free value at each point, in the order of the evaluations.
    """

    def __init__(self, objective: MoreWildObjective) -> None:
        super().__init__(objective)
        self._clean = objective
        self.values: list[float] = []

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Values, one evaluation each."""
        self.values += self._clean.noise_free(x).tolist()
        return super().fun(x, seed=seed, spp=spp)

    def residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Residuals, one evaluation a row."""
        self.values += self._clean.noise_free(x).tolist()
        return super().residuals(x, seed=seed, spp=spp)

    def cost_to(self, target: float) -> float:
        """Evaluations up to the first one with at most this value; inf without one."""
        reached = np.flatnonzero(np.array(self.values) <= target)
        return float(reached[0] + 1) if reached.size else math.inf
