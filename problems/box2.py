"""BOX2: find the box."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from .tasks.boxes import HALF_WIDTH, Boxes

__all__ = ["Box2"]


@frozen(kw_only=True, eq=False)
class Box2(Boxes):
    """The paper's BOX2: move a soft box in a picture onto the box of a target picture.

    Where the boxes do not overlap, the squared error does not depend on the parameters: a plateau around a valley as
    wide as the box.

    Parameters
    ----------
    resolution : int, default 500
        Pixels a side, at least 10.

    References
    ----------
    .. [1] Wang, Fischer, Ritschel, "Stochastic Gradient Estimation for Higher-order Differentiable Rendering",
       ICCV 2025, sec. 4.1.
    """

    @property
    def x0(self) -> NDArray[np.float64]:
        """A start without overlap."""
        return np.array([0.25, 0.3])

    @property
    def x_opt(self) -> NDArray[np.float64]:
        """Centre of the target's box."""
        return np.array([0.55, 0.5])

    @property
    def sigma(self) -> float:
        """Two and a half times the half-width of the box: wide enough to see over the plateau."""
        return 2.5 * HALF_WIDTH

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return ("across", "down")

    def starts(self, rng: np.random.Generator, k: int) -> NDArray[np.float64]:
        """`k` starts uniform over the picture, among those where the boxes do not overlap."""
        found: list[NDArray[np.float64]] = []
        while len(found) < k:
            x = rng.uniform(HALF_WIDTH, 1 - HALF_WIDTH, 2)
            if np.abs(x - self.x_opt).max() >= 2 * HALF_WIDTH:
                found.append(x)
        return np.array(found)
