"""BOX10: find five boxes."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from .tasks.boxes import Boxes

__all__ = ["Box10"]

# Largest distance of a random start from the default one, in each parameter (paper's code).
_BOX10_SPREAD = 0.025


@frozen(kw_only=True, eq=False)
class Box10(Boxes):
    """The paper's BOX10: move five soft boxes onto those of a target picture.

    The picture is the sum of the boxes. They are alike, so that every permutation of a solution is one too; the
    parameter error is that of the best assignment.

    Parameters
    ----------
    resolution : int, default 500
        Pixels on a side, at least 10.

    Notes
    -----
    Section 4.1 of Wang, Fischer, Ritschel, "Stochastic Gradient Estimation for Higher-order Differentiable Rendering",
    ICCV 2025.
    """

    @property
    def x0(self) -> NDArray[np.float64]:
        """Five boxes close to the middle (paper's code)."""
        return np.array([0.41, 0.41, 0.5, 0.5, 0.59, 0.59, 0.41, 0.59, 0.59, 0.41])

    @property
    def x_opt(self) -> NDArray[np.float64]:
        """Four boxes near the corners and one in the middle (paper's code)."""
        return np.array([0.21, 0.21, 0.5, 0.5, 0.79, 0.79, 0.21, 0.79, 0.79, 0.21])

    @property
    def sigma(self) -> float:
        """Initial sigma of smoothing; the authors' runs have 0.1 to 0.17."""
        return 0.15

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return tuple(f"box {i} {axis}" for i in range(5) for axis in ("across", "down"))

    def parameter_error(self, x: NDArray[np.float64]) -> float:
        """Mean squared error for the best assignment of boxes to targets."""
        difference = np.asarray(x).reshape(5, 1, 2) - self.x_opt.reshape(1, 5, 2)
        cost = np.square(difference).sum(2)
        rows, columns = linear_sum_assignment(cost)
        return float(cost[rows, columns].sum() / 10)

    def starts(self, rng: np.random.Generator, k: int) -> NDArray[np.float64]:
        """`k` starts of shape (k, 10) within 0.025 of `x0` in every parameter."""
        return self.x0 + rng.uniform(-_BOX10_SPREAD, _BOX10_SPREAD, (k, 10))
