"""Pictures of soft boxes, summed: what BOX2 and BOX10 compare."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invopt._problem import Objective

__all__ = ["HALF_WIDTH", "BoxesObjective", "boxes_patches"]

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
    distance = ((index + 0.5) / resolution - centres.unsqueeze(-1)) / HALF_WIDTH
    power = distance.square().pow(_EXPONENT // 2)
    value = (1 - 2 * (power[:, 0, None, :] + power[:, 1, :, None])).clamp(min=0.0)
    pixel = index[:, 1, :, None] * resolution + index[:, 0, None, :]
    return pixel.reshape(-1), value.reshape(-1)


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
        # Not torch's dot: the last bits of that depend on the number of threads, and so on that of workers.
        sums = [np.einsum("i,i->", d := self._difference(row).numpy(), d) for row in x]
        return torch.from_numpy(np.array(sums) / self._target.numel())

    def residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Differences of pixels, row by row of the picture."""
        return torch.stack([self._difference(row).clone() for row in x])

    def image(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Picture at one point, shape (resolution, resolution)."""
        row = torch.from_numpy(np.asarray(x, dtype=np.float64))
        picture = (self._difference(row) + self._target).view(self._resolution, -1)
        return np.asarray(picture.numpy())
