"""BOX2: find a box."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from .tasks.boxes import HALF_WIDTH, Boxes

__all__ = ["Box2"]


@frozen(kw_only=True, eq=False)
class Box2(Boxes):
    """The paper's BOX2: move a soft box onto the box of a target picture.

    Where the two boxes do not overlap, the squared error is constant. This plateau begins one box width, 0.2, away from
    the answer.

    Parameters
    ----------
    resolution : int, default 500
        Pixels on a side, at least 10.

    References
    ----------
    .. [1] Wang, Fischer, Ritschel, "Stochastic Gradient Estimation for Higher-order Differentiable Rendering",
       ICCV 2025, sec. 4.1.
    """

    @property
    def x0(self) -> NDArray[np.float64]:
        """A start at which the boxes do not overlap."""
        return np.array([0.25, 0.3])

    @property
    def x_opt(self) -> NDArray[np.float64]:
        """Centre of the target's box."""
        return np.array([0.55, 0.5])

    @property
    def sigma(self) -> float:
        """Initial sigma of smoothing: 2.5 half-widths, enough to see beyond the plateau."""
        return 2.5 * HALF_WIDTH

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return ("across", "down")

    def starts(self, rng: np.random.Generator, k: int) -> NDArray[np.float64]:
        """`k` starts of shape (k, 2), uniform where the boxes do not overlap."""
        found: list[NDArray[np.float64]] = []
        while len(found) < k:
            x = rng.uniform(HALF_WIDTH, 1 - HALF_WIDTH, 2)
            if np.abs(x - self.x_opt).max() >= 2 * HALF_WIDTH:
                found.append(x)
        return np.array(found)
