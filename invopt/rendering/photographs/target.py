"""Target: a picture as a render is compared with it."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from invopt.rendering.photographs.exposure import Exposure, Factors

__all__ = ["Target"]

_PLAIN = Factors()


@frozen(eq=False, kw_only=True)
class Target:
    """A picture of a film's size, and how a render is compared with it.

    Parameters
    ----------
    picture : ndarray, shape (height, width, 1 or 3)
        Linear picture; encoded if the response is unknown.
    scales : ndarray, shape (height, width, 1), or None
        Factors of the differences, in [0, 1]; 0 where nothing is compared. None if all are 1.
    exposure : Exposure, optional
        What is done to a render first; by default nothing.
    weight : float, default 1
        Weight beside other targets.
    variance : ndarray, shape (height, width, 1), or None
        Variance of the picture's own noise; None if nothing is known of it.
    """

    picture: NDArray[np.float32]
    scales: NDArray[np.float32] | None = None
    exposure: Exposure = _PLAIN
    weight: float = 1.0
    variance: NDArray[np.float64] | None = None
