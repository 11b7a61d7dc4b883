"""Passes: residuals with their Jacobians so far, and what they say of the shading."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from invopt.evaluate.eliminating.least_squares import Normal, eliminate
from invopt.evaluate.eliminating.prior import Prior

__all__ = ["Pass", "Passes"]

Array = NDArray[np.float64]

# Passes whose Jacobians are kept: those of the last corrections of an answer, and some more.
_KEPT = 16
# Seeds that a scatter needs.
_LEAST_SEEDS = 3
# Distance of points, in units of `x_scale`, within which passes say something of the same shading.
_NEAR = 0.02


class Pass(NamedTuple):
    """Residuals :math:`J s - b` at a point of the parameters that move.

    Attributes
    ----------
    point : ndarray, shape (k,)
        The point, in units of `x_scale`.
    seed : int
        Its seed.
    jacobian : csr_matrix, shape (m, n)
        J, by the n parameters that shade.
    right : ndarray, shape (m,)
        b.
    solution : ndarray, shape (n,)
        Shading that this pass alone finds.
    left : float
        Mean square that is left over.
    """

    point: Array
    seed: int
    jacobian: csr_matrix
    right: Array
    solution: Array
    left: float


class Passes:
    """The last passes of a run, and the best shading so far.

    Parameters
    ----------
    prior : Prior
        Prior of the shading.
    """

    def __init__(self, prior: Prior) -> None:
        self.prior = prior
        # Shading about which the next pass is linear: the best one so far.
        self.shading = prior.start
        self._least = np.inf
        self._last: list[Pass] = []
        self._known: dict[bytes, tuple[int, Array]] = {}
        self._count = 0

    def add(self, point: Array, seed: int, residuals: Array, jacobian: csr_matrix) -> Array:
        """Note a pass about `shading`; returns what no shading explains, shape (m,)."""
        right = jacobian @ self.shading - residuals
        s, left = eliminate(Normal(jacobian, right, self.prior), self.prior)
        self._last = [*self._last, Pass(point, seed, jacobian, right, s, left)][-_KEPT:]
        self._count += 1
        if left < self._least:
            self._least, self.shading = left, s
        reduced: Array = jacobian @ s - right
        return reduced

    def solution(self, point: Array) -> Array:
        """Shading at a point, from all passes near it; without any, the start.

        Noise in a Jacobian makes its solution smaller. It falls with the number of seeds that are averaged.
        """
        if not self._last:
            return self.prior.start
        known = self._known.get(point.tobytes())
        if known is not None and known[0] == self._count:
            return known[1]
        found = self._joint(point)
        self._known[point.tobytes()] = self._count, found
        return found

    def errors(self, point: Array) -> Array:
        """Standard errors of the shading at a point; inf with fewer than three seeds."""
        near = {each.seed: each.solution for each in self.near(point)} if self._last else {}
        if len(near) < _LEAST_SEEDS:
            return np.full(self.prior.start.size, np.inf)
        found: Array = np.std(list(near.values()), axis=0, ddof=1) / np.sqrt(len(near))
        return found

    def near(self, point: Array) -> list[Pass]:
        """Passes near a point, or the nearest one."""
        away = [float(np.abs(each.point - point).max()) for each in self._last]
        near = [each for each, distance in zip(self._last, away, strict=True) if distance <= _NEAR]
        return near or [self._last[int(np.argmin(away))]]

    def averaged(self, point: Array) -> tuple[csr_matrix, Array]:
        """Mean Jacobian and right side of the passes near a point; each seed counts once."""
        by_seed: dict[int, list[Pass]] = defaultdict(list)
        for each in self.near(point):
            by_seed[each.seed].append(each)
        weights = [(1 / len(group) / len(by_seed), each) for group in by_seed.values() for each in group]
        share, first = weights[0]
        jacobian = share * first.jacobian
        for weight, each in weights[1:]:
            jacobian = jacobian + weight * each.jacobian
        right: Array = np.sum([weight * each.right for weight, each in weights], axis=0)
        return csr_matrix(jacobian), right

    def _joint(self, point: Array) -> Array:
        near = self.near(point)
        if len(near) == 1:
            return near[0].solution
        return eliminate(Normal(*self.averaged(point), self.prior), self.prior)[0]
