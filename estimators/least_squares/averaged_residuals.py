"""Residuals of several evaluations, carried to one point and averaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

__all__ = ["Average", "Observed", "average", "with_observed"]

Array = NDArray[np.float64]

# Evaluations that are kept: as many as reach 64 times the samples per pixel, and their bound in memory.
_MOST_KEPT = 32
# Least share of noise in the variance of an evaluation that counts for error bars: what is predicted falsely is less.
_LEAST_NOISE = 0.5


@frozen(eq=False, kw_only=True)
class Observed:
    """Residuals at a point.

    Attributes
    ----------
    x : ndarray, shape (n,)
        The point.
    residual : ndarray, shape (m,)
        The residuals.
    seed : int
        Seed of their noise.
    factor : int
        Samples per pixel, as a multiple of the problem's.
    """

    x: Array
    residual: Array
    seed: int
    factor: int


class Average(NamedTuple):
    """Mean residuals at a point.

    Attributes
    ----------
    residual : ndarray, shape (m,)
        The mean.
    samples : float
        Number of evaluations, with the problem's samples per pixel, that have as little noise.
    noise : float
        Mean square of the noise of one such evaluation.
    carried : list of ndarray
        Residuals of each evaluation, carried to the point.
    weights : ndarray
        Weight of each evaluation.
    """

    residual: Array
    samples: float
    noise: float
    carried: list[Array]
    weights: Array

    def of_noise(self, all_observed: Sequence[Observed]) -> tuple[Array, Array]:
        """Carried residuals and samples of evaluations that differ by noise mostly."""
        factors = np.array([each.factor for each in all_observed], dtype=np.float64)
        kept = np.flatnonzero(self.weights * self.samples >= _LEAST_NOISE * factors)
        return np.array([self.carried[i] for i in kept]), factors[kept]


def with_observed(all_observed: tuple[Observed, ...], new: Observed) -> tuple[Observed, ...]:
    """Add an evaluation; it replaces one with the same seed, whose noise is the same."""
    others = [each for each in all_observed if each.seed != new.seed]
    return (*others[-_MOST_KEPT + 1 :], new)


def average(all_observed: Sequence[Observed], x: Array, jacobian: csr_matrix, error: float, *, noisy: bool) -> Average:
    """Average residuals at `x`, each weighted by its inverse variance.

    An evaluation elsewhere is carried to `x` by the Jacobian, which predicts changes up to the share `error`: its
    variance is that of noise, plus the square of this share of the predicted change.

    Parameters
    ----------
    all_observed : sequence of Observed
        Evaluations, the last one at or near `x`.
    x : ndarray, shape (n,)
        The point.
    jacobian : csr_matrix, shape (m, n)
        Jacobian.
    error : float
        Root mean square of the changes that the Jacobian does not predict, relative to the changes.
    noisy : bool
        Whether there is noise; if not, the variances of noise are 0.
    """
    moves = [jacobian @ (x - each.x) for each in all_observed]
    carried = [each.residual + move for each, move in zip(all_observed, moves, strict=True)]
    if len(carried) == 1:
        return Average(carried[0], float(noisy) * all_observed[0].factor, 0.0, carried, np.ones(1))
    factors = np.array([each.factor for each in all_observed], dtype=np.float64)
    unknown = error**2 * np.array([np.square(move).mean() for move in moves])
    noise = _noise(carried, moves, factors, error) if noisy else 0.0
    variances = noise / factors + unknown
    if variances[-1] == 0.0:
        weights, samples = np.eye(len(carried))[-1], 0.0
    else:
        samples = noise * float((1 / variances).sum())
        weights = 1 / variances / (1 / variances).sum()
    return Average(np.tensordot(weights, np.array(carried), 1), samples, noise, carried, weights)


def _noise(carried: list[Array], moves: list[Array], factors: Array, error: float) -> float:
    """Mean square of the noise, from the difference of the last two evaluations."""
    difference = np.square(carried[-1] - carried[-2]).mean()
    unknown = error**2 * np.square(moves[-1] - moves[-2]).mean()
    return max(float(difference - unknown), 0.0) / float(1 / factors[-1] + 1 / factors[-2])
