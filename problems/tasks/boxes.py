"""Base class of BOX2 and BOX10: pictures of soft boxes."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from attrs import field, frozen
from numpy.typing import NDArray
from scipy.optimize import Bounds
from torch import Tensor

from invopt.plugin import Capability, Objective, Problem, integer

__all__ = ["HALF_WIDTH", "Boxes", "BoxesObjective", "add_boxes"]

# Half of a box's side, in units of the picture's; the profile's exponent and slope (paper's code, BOX2).
HALF_WIDTH, _EXPONENT, _SLOPE = 0.1, 10, 2
# Distances are squared first, which is cheaper than a power of their absolute value.
_EXPONENT_OF_SQUARE = _EXPONENT // 2


def add_boxes(picture: NDArray[np.float64], centres: NDArray[np.float64]) -> None:
    r"""Add boxes to a square picture in place.

    At distance (dx, dy) from its centre, a box has the value
    :math:`clamp(1 - 2 (|dx / w|^{10} + |dy / w|^{10}), 0, 1)` with w = 0.1. Overlapping boxes add up. Only the pixels
    around each box are computed.

    Parameters
    ----------
    picture : ndarray, shape (resolution, resolution)
        The picture, rows from top to bottom.
    centres : ndarray, shape (b, 2)
        Centres of the boxes (across, down) in units of the picture's side.
    """
    resolution = len(picture)
    side = min(2 * math.ceil(HALF_WIDTH * resolution) + 1, resolution)
    corners = np.clip(np.floor(centres * resolution - side / 2), 0, resolution - side).astype(np.intp)
    for centre, (left, top) in zip(centres, corners, strict=True):
        across, down = (
            _power(start + np.arange(side), c, resolution) for start, c in ((left, centre[0]), (top, centre[1]))
        )
        patch = 1 - _SLOPE * (across[None, :] + down[:, None])
        picture[top : top + side, left : left + side] += np.maximum(patch, 0.0)


def _power(pixel: NDArray[np.intp], centre: float, resolution: int) -> NDArray[np.float64]:
    """Distance of pixels from a centre in half-widths, to the power of 10."""
    squared: NDArray[np.float64] = (((pixel + 0.5) / resolution - centre) / HALF_WIDTH) ** 2
    return squared**_EXPONENT_OF_SQUARE


@frozen(kw_only=True, eq=False)
class Boxes(Problem):
    """Base class: move soft boxes in a picture onto those of a target picture.

    The unknowns are the centres (across, down) of all boxes in units of the picture's side. Bounds keep every box
    inside the picture. A subclass defines the start and the answer.

    Parameters
    ----------
    resolution : int, default 500
        Pixels a side, at least 10.
    """

    provides: ClassVar[Capability] = Capability.FUN | Capability.RESIDUALS

    resolution: int = field(default=500, validator=integer(10))

    @property
    def fun_opt(self) -> float:
        """Value at the answer."""
        return 0.0

    @property
    def bounds(self) -> Bounds:
        """Bounds that keep every box inside the picture."""
        return Bounds(np.full(self.n, HALF_WIDTH), np.full(self.n, 1 - HALF_WIDTH))

    def open(self) -> Objective:
        """Draw the target."""
        assert self.x_opt is not None
        return BoxesObjective(self.x_opt, self.resolution)


class BoxesObjective(Objective):
    """Mean squared difference between a picture of boxes and a target picture.

    Parameters
    ----------
    target : ndarray, shape (2 b,)
        Centres of the boxes of the target.
    resolution : int
        Pixels a side.
    """

    def __init__(self, target: NDArray[np.float64], resolution: int) -> None:
        self._target = np.zeros((resolution, resolution))
        add_boxes(self._target, target.reshape(-1, 2))
        self.reference = self._target.copy()
        self.image_shapes = (self._target.shape,)
        # One buffer for all pictures: allocating memory takes longer than drawing a picture.
        self._buffer = np.empty_like(self._target)

    def _difference(self, row: NDArray[np.float64]) -> NDArray[np.float64]:
        np.negative(self._target, out=self._buffer)
        add_boxes(self._buffer, row.reshape(-1, 2))
        return self._buffer.reshape(-1)

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Mean squared residuals."""
        # Not dot: it starts threads, and its last bits depend on their number.
        values = [np.einsum("i,i->", d := self._difference(row), d) for row in x.numpy()]
        return torch.from_numpy(np.array(values) / self._target.size)

    def residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Differences of all pixels, rows from top to bottom."""
        return torch.from_numpy(np.array([self._difference(row).copy() for row in x.numpy()]))

    def image(self, x: NDArray[np.float64], *, seed: int = 0, spp: int | None = None) -> NDArray[np.float64]:
        """Picture at a point, shape (resolution, resolution)."""
        picture = np.zeros_like(self._target)
        add_boxes(picture, np.asarray(x, dtype=np.float64).reshape(-1, 2))
        return picture
