"""Curvature pairs of a quasi-Newton method: the two-loop recursion with bounds."""

from __future__ import annotations

import numpy as np
from attrs import define, field

from .space import Array

__all__ = ["Curvature"]

# Share of |s||y| below which s'y is taken for rounding: 500,000 times machine precision.
_LEAST_PAIR = 1e-10
# Pairs that are kept, at most: all that count up to 50 parameters, and usual numbers beyond. More take time only.
_PAIRS = 40
# Least curvature along an axis as a share of the largest, so that no axis without any has an infinite step.
_LEAST_SHARE = 1e-8


@define(eq=False)
class Curvature:
    """Pairs (s, y), oldest first, and curvatures along the axes.

    Attributes
    ----------
    pairs : list of tuple
        Steps and changes of the gradient.
    diagonal : ndarray, shape (n,)
        Inverse curvatures along the axes, up to a factor.
    """

    diagonal: Array
    pairs: list[tuple[Array, Array]] = field(factory=list)

    def learn_axes(self, curvature: Array) -> None:
        """Use curvatures along the axes, unless some are zero."""
        if curvature.all():
            self.diagonal = 1 / np.maximum(curvature, _LEAST_SHARE * curvature.max())

    def add(self, s: Array, y: Array) -> float:
        """Add a pair if its curvature is positive; return |y| / |s|."""
        length, change = float(np.linalg.norm(s)), float(np.linalg.norm(y))
        if float(s @ y) > _LEAST_PAIR * length * change:
            self.pairs.append((s, y))
            del self.pairs[:-_PAIRS]
        return change / length if length > 0 else np.inf

    def direction(self, jac: Array, free: Array) -> Array:
        """Quasi-Newton step in the free parameters: the two-loop recursion.

        The first matrix is scaled by the last pair. See Nocedal, Wright, "Numerical Optimization", algorithm 7.4.
        """
        q, kept = -jac * free, []
        for s, y in reversed(self.pairs):
            s, y = s * free, y * free
            sy = float(s @ y)
            if sy > 0:
                share = float(s @ q) / sy
                kept.append((s, y, sy, share))
                q = q - share * y
        if kept:
            _, y, sy, _ = kept[0]
            q = q * self.diagonal * (sy / float(y @ (self.diagonal * y)))
        for s, y, sy, share in reversed(kept):
            q = q + (share - float(y @ q) / sy) * s
        step: Array = q * free
        return step
