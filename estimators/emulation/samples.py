"""Samples: points and their residuals at all levels, with inner products."""

from __future__ import annotations

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from invopt.plugin import independent_values, pyramid

from .kernel import Metric

__all__ = ["Samples"]

Array = NDArray[np.float64]


@frozen(kw_only=True, eq=False)
class Samples:
    """Points and the residuals there.

    Attributes
    ----------
    shapes : tuple
        Shapes of the pictures among the residuals.
    m : int
        Number of residuals.
    cells : ndarray, shape (L,)
        Independent values of each level.
    points : ndarray, shape (N, n)
        Points, in units of sigma.
    levels : list of list of ndarray
        Residuals of each sample at each level.
    grams : ndarray, shape (L, N, N)
        Their inner products.
    numbers : ndarray of int, shape (N,)
        Numbers of the samples in the order of evaluation.
    succeeded : ndarray of bool, shape (N,)
        Whether the evaluation gave finite residuals.
    """

    shapes: tuple[tuple[int, ...], ...]
    m: int
    cells: Array
    points: Array
    levels: list[list[Array]]
    grams: Array
    numbers: NDArray[np.intp]
    succeeded: NDArray[np.bool_]

    @classmethod
    def of(cls, shapes: tuple[tuple[int, ...], ...], m: int, n: int) -> Samples:
        """No samples yet, of m residuals and n parameters."""
        count = independent_values(shapes, m)
        return cls(
            shapes=shapes,
            m=m,
            cells=count,
            points=np.empty((0, n)),
            levels=[],
            grams=np.empty((len(count), 0, 0)),
            numbers=np.empty(0, dtype=np.intp),
            succeeded=np.empty(0, dtype=bool),
        )

    def index_of(self, point: Array) -> int | None:
        """Index of the sample at a point; None if it has none."""
        found = np.flatnonzero((self.points == point).all(1))
        return int(found[0]) if found.size else None

    def with_one(self, point: Array, residuals: Array) -> Samples:
        """Add a sample; where it is not finite, the worst one's residuals stand for it."""
        with np.errstate(over="ignore"):
            good = bool(np.isfinite(np.square(residuals).sum()))
        if good:
            # Compact: levels of a picture keep no views of larger arrays.
            new = [np.ascontiguousarray(level) for level in pyramid(residuals, self.shapes)]
        else:
            new = self.levels[int(np.argmax(np.diagonal(self.grams[0])))]
        count = len(self.levels)
        grams = np.empty((len(new), count + 1, count + 1))
        grams[:, :count, :count] = self.grams
        for level, values in enumerate(new):
            for i, other in enumerate([*self.levels, new]):
                # Not dot: its last bits depend on the number of threads.
                grams[level, i, count] = grams[level, count, i] = np.einsum("i,i->", other[level], values)
        number = int(self.numbers[-1]) + 1 if count else 0
        return evolve(
            self,
            points=np.vstack([self.points, point]),
            levels=[*self.levels, new],
            grams=grams,
            numbers=np.append(self.numbers, number),
            succeeded=np.append(self.succeeded, good),
        )

    def nearest(self, most: int, metric: Metric, also: int) -> Samples:
        """The first sample, the last, one more, and those nearest to the best."""
        count = len(self.levels)
        if count <= most:
            return self
        best = int(np.argmin(np.diagonal(self.grams[0])))
        far = metric.squares(self.points, self.points[best][None])[..., 0].sum(0)
        far[[0, best, count - 1, also]] = -1.0
        keep = np.sort(np.argsort(far, kind="stable")[:most])
        return evolve(
            self,
            points=self.points[keep],
            levels=[self.levels[i] for i in keep],
            grams=self.grams[:, keep][:, :, keep],
            numbers=self.numbers[keep],
            succeeded=self.succeeded[keep],
        )
