"""Pictures averaged down to the pixels of a film."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from invopt.rendering.values import renderer

__all__ = ["Averaging", "kernel_of"]

Array = NDArray[np.float64]
# Weight of a film's filter by the distance from the pixel's centre, in pixels of the film.
Kernel = Callable[[Array], Array]

# Pixels of a picture for each pixel of the film from which on the film's filter is applied to the picture. Below, its
# samples would be too few; the average over the area of the film's pixel is taken.
_FEWEST_PER_PIXEL = 2.0


@frozen(eq=False)
class Averaging:
    """Averages of a picture's pixels over each pixel of a film.

    A pixel of a film collects light with the film's filter. If the picture is at least twice as fine as the film, the
    same filter is applied to it. Else it is averaged over the area of each pixel of the film; a picture of the film's
    own size stays as it is.

    Parameters
    ----------
    source : (int, int)
        Height and width of the picture.
    film : (int, int)
        Height and width of the film, not larger.
    kernel : callable, optional
        The film's filter.
    radius : float, default 0.5
        Radius of the filter, in pixels of the film.
    """

    source: tuple[int, int]
    film: tuple[int, int]
    kernel: Kernel | None = None
    radius: float = 0.5
    _rows: Array = field(init=False)
    _columns: Array = field(init=False)

    def __attrs_post_init__(self) -> None:
        for name, axis in (("_rows", 0), ("_columns", 1)):
            matrix = _matrix(self.source[axis], self.film[axis], self.kernel, self.radius)
            object.__setattr__(self, name, matrix)

    def __call__(self, picture: Array) -> Array:
        """Averages of a picture of shape (height, width, c)."""
        return _joined(self._rows, picture, self._columns)

    def variance(self, variances: Array) -> Array:
        """Variances of the averages, from those of independent pixels."""
        return _joined(self._rows**2, variances, self._columns**2)


def kernel_of(film: Any) -> tuple[Kernel, float]:
    """Return the filter of a film of Mitsuba, and its radius in pixels."""
    filtering = film.rfilter()
    mi = renderer()

    def kernel(distance: Array) -> Array:
        numbers = np.abs(distance).ravel()
        try:
            found = np.array(filtering.eval(mi.Float(numbers.astype(np.float32))), dtype=np.float64)
        except TypeError:
            # The scalar backend takes one number at a time.
            found = np.array([float(filtering.eval(float(number))) for number in numbers])
        return found.reshape(distance.shape)

    return kernel, float(filtering.radius())


def _joined(rows: Array, picture: Array, columns: Array) -> Array:
    found: Array = np.einsum("iy,yxc,jx->ijc", rows, picture, columns, optimize=True)
    return found


def _matrix(source: int, film: int, kernel: Kernel | None, radius: float) -> Array:
    """Weights of each pixel of the film, shape (film, source); each row has the sum 1."""
    per_pixel = source / film
    if kernel is None or per_pixel < _FEWEST_PER_PIXEL:
        edges = np.arange(source + 1) / per_pixel
        low = np.maximum(edges[None, :-1], np.arange(film)[:, None])
        high = np.minimum(edges[None, 1:], np.arange(1, film + 1)[:, None])
        weights = np.maximum(high - low, 0.0)
    else:
        centres = (np.arange(source) + 0.5) / per_pixel
        distance = centres[None, :] - (np.arange(film)[:, None] + 0.5)
        weights = np.where(np.abs(distance) < radius, kernel(distance), 0.0)
    total: Array = weights / weights.sum(1, keepdims=True)
    return total
