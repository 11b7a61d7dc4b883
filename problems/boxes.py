"""Pictures of soft boxes, summed: what BOX2 and BOX10 have in common."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from attrs import field, frozen
from numpy.typing import NDArray
from scipy.optimize import Bounds
from torch import Tensor

from invopt._problem import Capability, Objective, Problem
from invopt._validators import integer

__all__ = ["HALF_WIDTH", "Boxes", "BoxesObjective", "boxes_patches"]

HALF_WIDTH = 0.1
_EXPONENT = 10


def boxes_patches(centres: Tensor, resolution: int) -> tuple[Tensor, Tensor]:
    r"""Pixels that boxes around given centres touch, and what they add to each.

    A box has the value :math:`clamp(1 - 2 (|dx / w|^{10} + |dy / w|^{10}), 0, 1)` at distance (dx, dy) from its
    centre, with w = 0.1; overlapping boxes add up. A 500 x 500 picture so costs what its boxes do.

    Parameters
    ----------
    centres : Tensor, shape (b, 2)
        Centres of the boxes, in units of the picture's side, first across, then down.
    resolution : int
        Pixels a side.

    Returns
    -------
    index, value : Tensor, shape (m,)
        Flat pixel indices, with repetitions where boxes overlap, and values to be summed.
    """
    side = min(2 * math.ceil(HALF_WIDTH * resolution) + 1, resolution)
    corner = (centres * resolution - side / 2).floor().long().clamp(0, resolution - side)
    index = corner.unsqueeze(-1) + torch.arange(side)
    # Integers plus 0.5 would be float32.
    pixel_centre = (index.double() + 0.5) / resolution
    distance = (pixel_centre - centres.unsqueeze(-1)) / HALF_WIDTH
    power = distance.square().pow(_EXPONENT // 2)
    value = (1 - 2 * (power[:, 0, None, :] + power[:, 1, :, None])).clamp(min=0.0)
    pixel = index[:, 1, :, None] * resolution + index[:, 0, None, :]
    return pixel.reshape(-1), value.reshape(-1)


@frozen(kw_only=True, eq=False)
class Boxes(Problem):
    """Move soft boxes in a picture onto those of a target picture.

    Parameters are the centres (across, down), one box after the other, in units of the picture's side; bounds keep
    every box inside. A subclass says where they start and belong.

    Parameters
    ----------
    resolution : int, default 500
        Pixels a side, at least 10.
    """

    provides: ClassVar[Capability] = Capability.FUN | Capability.RESIDUALS

    resolution: int = field(default=500, validator=integer(10))

    @property
    def fun_opt(self) -> float:
        """Value at the target."""
        return 0.0

    @property
    def bounds(self) -> Bounds:
        """All boxes stay inside the picture."""
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
        Centres of the boxes of the target, one after the other.
    resolution : int
        Pixels a side.
    """

    def __init__(self, target: NDArray[np.float64], resolution: int) -> None:
        self._resolution = resolution
        self._target = torch.zeros(resolution**2, dtype=torch.float64)
        self._target.index_add_(0, *boxes_patches(torch.from_numpy(target).view(-1, 2), resolution))
        # One buffer for all: fresh pages for every picture cost more than the picture.
        self._buffer = torch.empty_like(self._target)
        self.reference = self._target.view(resolution, -1).numpy().copy()

    def _difference(self, row: Tensor) -> Tensor:
        torch.neg(self._target, out=self._buffer)
        return self._buffer.index_add_(0, *boxes_patches(row.view(-1, 2), self._resolution))

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Mean squared residuals."""
        return torch.stack([(d := self._difference(row)).dot(d) for row in x]) / self._target.numel()

    def residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Differences of pixels, row by row of the picture."""
        return torch.stack([self._difference(row).clone() for row in x])

    def image(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Picture at one point, shape (resolution, resolution)."""
        row = torch.from_numpy(np.asarray(x, dtype=np.float64))
        picture = (self._difference(row) + self._target).view(self._resolution, -1)
        return np.asarray(picture.numpy())
