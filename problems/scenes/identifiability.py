"""Whether lights and the exposure of photographs can both be found."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from invopt.rendering.bound import BoundScene
from invopt.rendering.photographs.comparison import Comparison

__all__ = ["warn_of_lights"]

Array = NDArray[np.float64]

# Share of a column's scale by which it is moved, both ways: renders are linear in the light, and with equal seeds the
# differences have only the rounding of single precision, 1e-7 / 1e-2 of them.
_STEP = 1e-2
# Singular value below which columns of length 1 do not see a direction: the error of central differences is the square
# of the step, 1e-4.
_RANK_TOLERANCE = 1e-3
# Columns of lights at most; an environment map has thousands, which do not scale together by accident.
_MOST_COLUMNS = 24
# Share of a direction's largest component from which on a column is named.
_NAMED = 0.1


def warn_of_lights(scene: BoundScene, x: Array, scale: Array, names: Sequence[str], *, spp: int) -> None:
    """Warn if of lights and a fitted exposure only their product can be found.

    Compares the ranks of two Jacobians of the exposed pictures over the columns that make lights bright: with the
    exposure held and with the exposure fitted. Takes two renders a column.

    Parameters
    ----------
    scene : BoundScene
        The scene with its targets.
    x : ndarray, shape (n,)
        Where to look.
    scale : ndarray, shape (n,)
        Scales of the columns.
    names : sequence of str
        Names of the columns.
    spp : int
        Samples per pixel.
    """
    columns = scene.brightness_columns()
    fitted = sorted({name for one in scene.comparisons for name in _fitted_names(one)})
    if not fitted or not 0 < len(columns) <= _MOST_COLUMNS or not scene.apply(torch.from_numpy(x)):
        return
    held = [_coefficients(one, image) for one, image in zip(scene.comparisons, _images(scene, spp), strict=True)]
    pairs = [_slopes(scene, x, scale, column, held, spp) for column in columns]
    fixed, free = (np.stack([pair[side] for pair in pairs], axis=1) for side in (0, 1))
    lengths = np.linalg.norm(fixed, axis=0)
    lit = lengths > 0
    if not lit.any() or _lost(fixed[:, lit] / lengths[lit]) is not None:
        return
    if (lost := _lost(free[:, lit] / lengths[lit])) is None:
        return
    named = np.abs(lost) > _NAMED * np.abs(lost).max()
    lights = [names[column] for column in np.array(columns)[lit][named]]
    warnings.warn(
        f"the photographs do not tell {', '.join(map(repr, lights))} and {', '.join(map(repr, fitted))} apart: only "
        f"their products can be found; give the exposure, or leave out one light",
        UserWarning,
        stacklevel=2,
    )


def _fitted_names(comparison: Comparison) -> tuple[str, ...]:
    exposure = comparison.target.exposure
    return (exposure.names or ("response",)) if exposure.is_fitted else ()


def _images(scene: BoundScene, spp: int) -> list[Array]:
    return [np.asarray(image, dtype=np.float64) for image in scene.live.images(seed=0, spp=spp)]


def _coefficients(comparison: Comparison, image: Array) -> Array:
    exposure = comparison.target.exposure
    return comparison.fitted(image).coefficients if exposure.is_fitted else exposure.known(image.shape[2])


def _slopes(scene: BoundScene, x: Array, scale: Array, column: int, held: list[Array], spp: int) -> tuple[Array, Array]:
    """Derivatives of the exposed pictures, with the exposure held and fitted."""
    ends = []
    for sign in (1, -1):
        moved = x.copy()
        moved[column] += sign * _STEP * scale[column]
        scene.apply(torch.from_numpy(moved))
        ends.append(_exposed(scene, held, spp))
    first, second = ((ends[0][side] - ends[1][side]) / (2 * _STEP) for side in (0, 1))
    return first, second


def _exposed(scene: BoundScene, held: list[Array], spp: int) -> tuple[Array, Array]:
    """All pictures exposed with held and with fitted coefficients."""
    fixed: list[Array] = []
    free: list[Array] = []
    for one, image, coefficients in zip(scene.comparisons, _images(scene, spp), held, strict=True):
        scales = 1.0 if one.target.scales is None else one.target.scales
        for found, used in ((fixed, coefficients), (free, _coefficients(one, image))):
            found.append(np.ravel(scales * one.target.exposure.exposed(image, used, np.asarray)))
    return np.concatenate(fixed), np.concatenate(free)


def _lost(columns: Array) -> Array | None:
    """Direction that columns do not see; None if there is none."""
    _, values, rows = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(rows[-1]) if values[-1] < _RANK_TOLERANCE else None
