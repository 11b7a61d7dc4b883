"""Places of residuals in grids of parameters, from ramps: joint perturbations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from invopt.plugin import Grid

from .footprints import REACH, Footprints

__all__ = ["Atlas", "atlas_of"]

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

# Empty rows and columns between tiles, so that a residual at the edge of one is not taken for one of its neighbour.
_GAP = 2
# Changes below this share of the largest one tell no place: in single precision, rounding would shift it by a texel.
_LEAST_CHANGE = 1e-3


class _Tile(NamedTuple):
    """One channel of a grid; its indices are -1 where a parameter is fixed."""

    top: int
    left: int
    indices: Indices
    periodic: bool

    def distance(self, down: Array, across: Array) -> Array:
        """Squared distance of places from the tile."""
        rows, columns = self.indices.shape
        outside = [
            np.maximum(np.maximum(first - at, at - first - size + 1), 0.0)
            for at, first, size in ((down, self.top, rows), (across, self.left, columns))
        ]
        found: Array = outside[0] ** 2 + outside[1] ** 2
        return found

    def column_of(self, plain: Array, rolled: Array) -> Array:
        """Column of each residual, from its readings of the ramp and the rolled ramp."""
        columns = self.indices.shape[1]
        if not self.periodic:
            return plain.clip(0, columns - 1)
        shift = columns // 2
        # Between the last column and the first, the plain ramp has its step; the rolled one has its own elsewhere.
        unrolled = np.mod(rolled - shift, columns)
        by_plain = np.abs(_reading(plain.clip(0, columns - 1), columns, shift) - rolled)
        by_rolled = np.abs(_reading(unrolled, columns, 0) - plain)
        return np.where(by_plain <= by_rolled, plain.clip(0, columns - 1), unrolled)


def _reading(column: Array, columns: int, shift: int) -> Array:
    """Reading, between two columns, of a ramp rolled by `shift` columns."""
    first = np.floor(column)
    share = column - first
    found: Array = (1 - share) * np.mod(first + shift, columns) + share * np.mod(first + 1 + shift, columns)
    return found


@frozen(eq=False)
class Atlas:
    """All grids on one plane, in which each channel is a tile.

    All parameters are perturbed by a constant, by a ramp across the plane and by a ramp down. The first change of a
    residual is its gain; the ratios of the others to it are the place that it depends on, to a fraction of a texel.
    Structured light finds places in the same way [1]_. Tiles of a periodic grid need a second ramp across, rolled by
    half a tile.

    Attributes
    ----------
    tiles : tuple
        Tiles.
    height, width : int
        Size of the plane.
    n : int
        Number of parameters.

    References
    ----------
    .. [1] Salvi, Pagès, Batlle, "Pattern codification strategies in structured light systems", Pattern Recognition
       37(4), 2004, sec. 4.1.
    """

    tiles: tuple[_Tile, ...]
    height: int
    width: int
    n: int

    @property
    def patterns(self) -> Array:
        """Perturbations in [-1, 1], shape (3, n): constant, across, down.

        Periodic grids need a fourth: across, rolled by half a tile.
        """
        periodic = any(tile.periodic for tile in self.tiles)
        found = np.ones((4 if periodic else 3, self.n))
        for tile in self.tiles:
            rows, columns = (np.asarray(each, dtype=np.int64) for each in np.indices(tile.indices.shape))
            free = tile.indices >= 0
            found[1, tile.indices[free]] = _ramp(tile.left + columns, self.width)[free]
            found[2, tile.indices[free]] = _ramp(tile.top + rows, self.height)[free]
            if periodic:
                width = tile.indices.shape[1]
                rolled = np.mod(columns + width // 2, width) if tile.periodic else columns
                found[3, tile.indices[free]] = _ramp(tile.left + rolled, self.width)[free]
        return found

    def footprints(self, changes: Array, step: float) -> Footprints:
        """Footprints of residuals.

        Their changes under `patterns` times `step` have shape (k, m).
        """
        gain = changes[0] / step
        seen = np.abs(gain) > _LEAST_CHANGE * np.abs(gain).max(initial=0.0)
        ratios = changes[1:] / np.where(seen, changes[0], 1.0)
        across, down = (_place(ratio, size) for ratio, size in zip(ratios[:2], (self.width, self.height), strict=True))
        rolled = _place(ratios[-1], self.width)
        owners = np.argmin([tile.distance(down, across) for tile in self.tiles], axis=0)
        row, column = np.zeros_like(gain), np.zeros_like(gain)
        for number, tile in enumerate(self.tiles):
            own = owners == number
            row[own] = (down[own] - tile.top).clip(0, tile.indices.shape[0] - 1)
            column[own] = tile.column_of(across[own] - tile.left, rolled[own] - tile.left)
        nearest = [self._nearest(owners, np.rint(row), np.rint(column), *offset) for offset in _OFFSETS]
        indices = np.stack(nearest, axis=1)
        offsets = np.array(_OFFSETS)
        apart = [np.rint(at)[:, None] + offsets[:, axis] - at[:, None] for axis, at in enumerate((row, column))]
        return Footprints.around(np.where(seen, gain, 0.0), indices, apart[0], apart[1])

    def _nearest(self, owners: Indices, row: Array, column: Array, down: int, across: int) -> Indices:
        """Index of the parameter so many rows and columns away; -1 if there is none."""
        found = np.full(len(owners), -1)
        for number, tile in enumerate(self.tiles):
            own = np.flatnonzero(owners == number)
            rows, columns = tile.indices.shape
            i, j = row[own].astype(int) + down, column[own].astype(int) + across
            if tile.periodic:
                j = np.mod(j, columns)
            inside = (i >= 0) & (i < rows) & (j >= 0) & (j < columns)
            found[own[inside]] = tile.indices[i[inside], j[inside]]
        return found


# Rows and columns between the texel nearest to a place and those that a residual there may depend on.
_OFFSETS = [(i, j) for i in range(-REACH, REACH + 1) for j in range(-REACH, REACH + 1)]


def atlas_of(grids: Sequence[Grid], indices: Indices) -> Atlas | None:
    """Arrange grids on a plane.

    Returns None unless each parameter is in one of them.

    Parameters
    ----------
    grids : sequence of Grid
        Grids, with indices of the problem's parameters.
    indices : ndarray, shape (n,)
        Index of each parameter of a point among the problem's.
    """
    highest = max((int(grid.indices.max()) for grid in grids), default=-1)
    positions = np.full(max(highest, int(indices.max(initial=-1))) + 1, -1)
    positions[indices] = np.arange(len(indices))
    own = [(positions[grid.indices[:, :, c]], grid.periodic) for grid in grids for c in range(grid.shape[2])]
    if sum(int((tile >= 0).sum()) for tile, _ in own) < len(indices) or not len(indices):
        return None
    # Rows of tiles, about as many as there are tiles in a row: precision of a place falls with the size of the plane.
    in_a_row = math.ceil(math.sqrt(len(own)))
    tiles, top, width = [], 0, 0
    for first in range(0, len(own), in_a_row):
        left = 0
        for tile, periodic in own[first : first + in_a_row]:
            tiles.append(_Tile(top, left, tile, periodic))
            left += tile.shape[1] + _GAP
        width = max(width, left - _GAP)
        top += max(tile.shape[0] for tile, _ in own[first : first + in_a_row]) + _GAP
    return Atlas(tuple(tiles), top - _GAP, width, len(indices))


def _ramp(at: Indices, size: int) -> Array:
    """Ramp from -1 to 1 over `size` places; 0 if there is one only."""
    found: Array = 2.0 * at / max(size - 1, 1) - (size > 1)
    return found


def _place(ratio: Array, size: int) -> Array:
    """Place at which a ramp has this height."""
    found: Array = (ratio + 1) * (size - 1) / 2 if size > 1 else np.zeros_like(ratio)
    return found
