"""Which texels a look-up in a texture reads, and with which weights."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["FILTERS", "WRAPS", "Taps", "environment_taps", "surface_taps", "uniform_taps"]

Array = NDArray[np.float64]

FILTERS = ("bilinear", "nearest")
WRAPS = ("repeat", "clamp", "mirror")


class Taps(NamedTuple):
    """Texels that l look-ups read.

    Attributes
    ----------
    places : ndarray of int, shape (q, l)
        Number of each texel, row by row.
    weights : ndarray, shape (q, l)
        Its weight; those of a look-up sum to 1.
    """

    places: NDArray[np.int64]
    weights: Array

    def of(self, texels: Array) -> Array:
        """Values that the look-ups return, shape (l, c), from texels of shape (texels, c)."""
        found: Array = np.einsum("ql,qlc->lc", self.weights, texels[self.places])
        return found


def uniform_taps(count: int) -> Taps:
    """Look-ups of the one value of a colour."""
    return Taps(np.zeros((1, count), np.int64), np.ones((1, count)))


def surface_taps(uv: NDArray[Any], shape: tuple[int, int], filtering: str, wrap: str, to_uv: Array) -> Taps:
    """Look-ups in a bitmap texture.

    Parameters
    ----------
    uv : ndarray, shape (2, l)
        Texture coordinates of the surface.
    shape : tuple of int
        Rows and columns.
    filtering, wrap : str
        One of `FILTERS` and of `WRAPS`.
    to_uv : ndarray, shape (3, 3)
        Transform of the coordinates.
    """
    rows, columns = shape
    u, v = to_uv[:2, :2] @ np.asarray(uv, dtype=np.float64) + to_uv[:2, 2:]
    if filtering == "nearest":
        place = _wrapped(np.floor(v * rows), rows, wrap) * columns + _wrapped(np.floor(u * columns), columns, wrap)
        return Taps(place[None], np.ones((1, len(u))))
    return _bilinear(u * columns - 0.5, v * rows - 0.5, shape, wrap, wrap)


def environment_taps(direction: NDArray[Any], shape: tuple[int, int]) -> Taps:
    """Look-ups in an environment map, whose repeated columns are not counted.

    Parameters
    ----------
    direction : ndarray, shape (3, l)
        Directions in the frame of the light, unit vectors.
    shape : tuple of int
        Rows and columns.
    """
    x, y, z = np.asarray(direction, dtype=np.float64)
    u, v = np.arctan2(x, -z) / (2 * np.pi), np.arccos(np.clip(y, -1, 1)) / np.pi
    # The first and the last row are the poles.
    return _bilinear(u * shape[1] - 0.5, v * (shape[0] - 1), shape, "clamp", "repeat")


def _bilinear(x: Array, y: Array, shape: tuple[int, int], down: str, across: str) -> Taps:
    """Four neighbours of places in units of texels."""
    left, top = np.floor(x), np.floor(y)
    places, weights = [], []
    for i, j in itertools.product((0, 1), (0, 1)):
        place = _wrapped(top + i, shape[0], down) * shape[1] + _wrapped(left + j, shape[1], across)
        places.append(place)
        weights.append(np.abs(1 - i - (y - top)) * np.abs(1 - j - (x - left)))
    return Taps(np.stack(places), np.stack(weights))


def _wrapped(place: Array, size: int, wrap: str) -> NDArray[np.int64]:
    number = place.astype(np.int64)
    if wrap == "clamp":
        return np.clip(number, 0, size - 1)
    if wrap == "repeat":
        return number % size
    number = number % (2 * size)
    return np.minimum(number, 2 * size - 1 - number)
