"""Pyramid: residual pictures, and the same seen blurred and sharpened."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

__all__ = ["Shapes", "independent_values", "level_weights", "projection", "pyramid"]

Array = NDArray[np.float64]
Shapes = tuple[tuple[int, ...], ...]

# Standard deviations of the blurs, as shares of the picture's shorter side: seen coarsely, an object that has to move
# overlaps with where it belongs.
_BLURS = (1 / 32, 1 / 16, 1 / 8, 1 / 4)
# That of the blur which is subtracted from the sharpened picture. What no parameter can match is mostly smooth, and
# this removes it.
_SHARP = 1 / 16
# Standard deviations of a blur in pixels of its reduced picture: a Gaussian of 1.5 pixels is sampled without loss.
_REDUCED = 1.5
# Standard deviations beyond which a blur is cut off.
_REACH = 3.0
# Matrices kept: some ten for pictures of one shape.
_MATRICES = 64


def pyramid(residuals: Array, shapes: Shapes) -> list[Array]:
    """Return a vector of residuals at all levels.

    Level 0 has the residuals, the last has the pictures less their blur, those between have blurred pictures from fine
    to coarse. All are in units of the same sum of squares: a blurred picture is scaled as if it had all pixels. Without
    pictures there is level 0 only.
    """
    if not shapes:
        return [residuals]
    pictures, start = [], 0
    for shape in shapes:
        size = math.prod(shape)
        pictures.append(residuals[start : start + size].reshape(*shape[:2], -1))
        start += size
    rest = residuals[start:]
    blurred = [np.concatenate([*(_blurred(each, share) for each in pictures), rest]) for share in _BLURS]
    sharp = np.concatenate([*(_sharpened(each) for each in pictures), rest])
    return [residuals, *blurred, sharp]


def independent_values(shapes: Shapes, m: int) -> Array:
    """Return how many values of each level are independent, for m residuals.

    Of a blurred picture it is one for each square of two standard deviations.
    """
    if not shapes:
        return np.array([float(m)])
    whole = float(sum(math.prod(shape[:2]) for shape in shapes))
    blurred = [len(shapes) / (2 * share) ** 2 for share in _BLURS]
    return np.array([whole, *(min(each, whole) for each in blurred), whole])


def level_weights(residuals: Array, shapes: Shapes) -> Array:
    """Weight of each level: its number of independent values over its mean square.

    Residuals have shape (k, m), all at one point, and the weights (L,).
    """
    found = [[level @ level for level in pyramid(row, shapes)] for row in residuals]
    counts = independent_values(shapes, residuals.shape[1])
    weights: Array = counts / counts.sum() / np.maximum(np.mean(found, 0), np.finfo(np.float64).tiny)
    return weights


def projection(jacobians: list[Array], shapes: Shapes) -> Callable[[Array], Array]:
    """Return the linear map of residuals to their products with Jacobians.

    It maps the shape (k, m) to (k, n), and adds all levels; the Jacobian of a level has shape (n, m_l).
    """

    def project(vectors: Array) -> Array:
        levels = [pyramid(row, shapes) for row in vectors]
        return np.array([sum(each @ own for each, own in zip(jacobians, row, strict=True)) for row in levels])

    return project


def _blurred(picture: Array, share: float) -> Array:
    """Blur a picture and reduce it; outside of it, residuals are 0."""
    height, width = picture.shape[:2]
    deviation = share * min(height, width) if min(height, width) > 1 else share * max(height, width)
    down, across = (_reducing(size, deviation) for size in (height, width))
    factor = math.prod(_factor(size, deviation) for size in (height, width))
    flat: Array = _applied(down, across, picture).ravel() * math.sqrt(factor)
    return flat


def _sharpened(picture: Array) -> Array:
    height, width = picture.shape[:2]
    down, across = (_smoothing(size, _SHARP * min(height, width)) for size in (height, width))
    flat: Array = (picture - _applied(down, across, picture)).ravel()
    return flat


def _applied(down: Array, across: Array, picture: Array) -> Array:
    """Apply a matrix to the columns of a picture, and one to its rows."""
    height, width, channels = picture.shape
    columns = (down @ picture.reshape(height, -1)).reshape(-1, width, channels)
    applied: Array = np.matmul(across, columns)
    return applied


def _factor(size: int, deviation: float) -> int:
    """Number of pixels along one axis that make one of a blurred picture."""
    return min(max(1, int(deviation / _REDUCED)), size) if size > 1 else 1


@functools.lru_cache(_MATRICES)
def _reducing(size: int, deviation: float) -> Array:
    """Matrix that averages blocks of pixels along an axis, and blurs these.

    A margin of zeros surrounds them.
    """
    factor = _factor(size, deviation)
    kept = size // factor
    blocks = np.zeros((kept, size))
    blocks[:, : kept * factor] = np.kron(np.eye(kept), np.full(factor, 1 / factor))
    if size == 1:
        return blocks
    margin = int(_REACH * deviation / factor) + 1
    return gaussian_filter1d(np.pad(blocks, ((margin, margin), (0, 0))), deviation / factor, axis=0, truncate=_REACH)


@functools.lru_cache(_MATRICES)
def _smoothing(size: int, deviation: float) -> Array:
    """Matrix that blurs along an axis."""
    smoothing: Array = np.eye(size)
    return smoothing if size == 1 else gaussian_filter1d(smoothing, deviation, axis=0, truncate=_REACH)
