"""Discrepancy: what residuals under several seeds have in common."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from invopt.core.model import Model
from invopt.core.pyramid import Shapes, pyramid

__all__ = ["Discrepancy", "compare", "is_blank", "squares"]

Array = NDArray[np.float64]

# A descent ended far above the noise if what evaluations of its end share exceeds this share of the squares at the
# start, on average over levels, and at level 0; or this multiple of the noise at any level. A target that was rendered
# with as many samples as the pictures has once their noise.
_LEFT_ON_AVERAGE, _LEFT, _NOISE_MULTIPLE = 0.1, 0.15, 3.0
# Draws of noise that are averaged: at the coarsest blur, of some 4 independent values, their mean is within 25 %.
_DRAWS = 8
# Distances, in units of the model's unit, of samples that show whether residuals depend on the parameters.
_NEAREST, _FARTHEST = 0.3, 2.0


class Discrepancy(NamedTuple):
    """What evaluations of one point under several seeds have in common.

    Attributes
    ----------
    noise : ndarray, shape (L,)
        Sum of squares of the noise of one evaluation, for each level.
    common : ndarray, shape (L,)
        Sum of squares of what all evaluations share, without the target's known noise; at least 0.
    known : ndarray, shape (L,)
        Sum of squares of the target's noise, if it is known; else 0.
    """

    noise: Array
    common: Array
    known: Array

    def is_far(self, start: Array) -> bool:
        """Whether pictures are far from the target, by noise or the start's squares.

        Blurred pictures have little noise, and show what is missing where single pixels do not. Without pictures a
        minimum may have any residuals.
        """
        if len(self.noise) == 1:
            return False
        noise = self.noise + self.known
        if bool((self.common > _NOISE_MULTIPLE * noise).any()) and bool(noise[0] > 0):
            return True
        begun = start - noise
        # Where the start itself differs by no more than noise, its share says nothing.
        left = self.common / np.where(begun > noise, begun, math.inf)
        return bool(left.mean() > _LEFT_ON_AVERAGE or left[0] > _LEFT)


def compare(residuals: Array, shapes: Shapes, variance: float = 0.0) -> Discrepancy:
    """Compare residuals of shape (k, m), k >= 2, at one point under different seeds.

    `variance` is that of the target's noise in each residual, if it is known.
    """
    noise, common = [], []
    for rows in zip(*(pyramid(row, shapes) for row in residuals), strict=True):
        values = np.array(rows)
        each = float(values.var(0, ddof=1).sum())
        noise.append(each)
        common.append(max(float(np.square(values.mean(0)).sum()) - each / len(values), 0.0))
    known = variance * _white(shapes, residuals.shape[1]) if variance > 0 else np.zeros(len(noise))
    return Discrepancy(np.array(noise), np.maximum(np.array(common) - known, 0.0), known)


def _white(shapes: Shapes, m: int) -> Array:
    """Sum of squares at each level of noise of variance 1, a mean over draws."""
    rng = np.random.default_rng(0)
    found: Array = np.mean([squares(rng.standard_normal(m), shapes) for _ in range(_DRAWS)], axis=0)
    return found


def squares(residuals: Array, shapes: Shapes) -> Array:
    """Sum of squares of residuals of shape (m,) at each level, shape (L,)."""
    return np.array([float(level @ level) for level in pyramid(residuals, shapes)])


def is_blank(model: Model, noise: float) -> bool:
    """Whether residuals around the best sample differ from it by less than noise.

    What should move is then outside of the picture.
    """
    best = model.best
    away = model.distances(model.points, model.points[best]) / model.unit
    around = np.flatnonzero((away > _NEAREST) & (away < _FARTHEST))
    here = model.residuals(best)
    return len(around) > 1 and all(float(np.square(model.residuals(int(i)) - here).sum()) < noise for i in around)
