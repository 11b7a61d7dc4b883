"""Universal kriging of vectors that are known by their inner products."""

from __future__ import annotations

import math
from functools import cached_property
from typing import NamedTuple

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from .kernel import Kernel, Metric

__all__ = ["Kriged", "krige", "neighbours"]

Array = NDArray[np.float64]

# Lengths of the kernel that are compared, in units of sigma: a grid of factors of about sqrt(2), because the likelihood
# is flat on that scale. Residuals that bend less than length 32 shows are linear.
LENGTHS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0, 16.0, 32.0)
# Nuggets that are compared, in units of the variance of the kernel, from rounding to noise.
_NUGGETS = (1e-10, 1e-8, 1e-6, 1e-4, 1e-3, 1e-2, 1e-1)
# Shares of the additive part that are compared: none, or most.
_ADDITIVE = (0.0, 0.9)
# Centres of weak priors of the logarithms of length and nugget: with few samples their likelihood says little. A sigma
# is meant to be a third of the length over which residuals change.
_USUAL_LENGTH, _USUAL_NUGGET = 3.0, 1e-4
# Weights of the squared deviations from them, in units of twice a log likelihood.
_PRIOR_OF_LENGTH, _PRIOR_OF_NUGGET = 1.0, 0.02


class Krige(NamedTuple):
    """Kriging weights of one level: samples' weights at x are ``B k(x) + C f(x)``."""

    kernel: Kernel
    nugget: float
    b: Array
    c: Array
    ai: Array
    scale: float


_ONE = np.ones(1)
# Added to sums of squares that divide others, which may be 0.
_TINY = 1e-100


class _Factor(NamedTuple):
    """Kernel matrix of one length, with the trend projected out, diagonalised."""

    kernel: Kernel
    matrix: Array
    values: Array
    vectors: Array


def trend(points: Array, linear: NDArray[np.intp], full: bool) -> Array:
    one = np.ones((len(points), 1))
    return np.hstack([one, points[:, linear]]) if full else one


def krige(
    points: Array,
    grams: Array,
    metric: Metric,
    near: tuple[float, ...] = (),
    *,
    secant: bool = True,
    usual: float = _USUAL_LENGTH,
) -> Kriged:
    """Fit each level by restricted likelihood.

    Parameters
    ----------
    points : ndarray, shape (N, n)
        Samples' points, in units of sigma.
    grams : ndarray, shape (L, N, N)
        Inner products of the samples' vectors, for each level.
    metric : Metric
        Distances of points.
    near : tuple of float, optional
        Lengths to try; by default all.
    secant : bool, default True
        Whether n + 1 samples make a linear trend, which then passes through them; otherwise it takes one more.
    usual : float, default 3
        Centre of the prior of the length.
    """
    count, n = points.shape
    linear = metric.linear
    full = count > len(linear) + (0 if secant else 1)
    f = trend(points, linear, full)
    squares = metric.squares(points, points)
    # Columns that are orthogonal to the trend.
    q = np.linalg.qr(f, mode="complete")[0]
    rest = q[:, f.shape[1] :]
    dof = count - f.shape[1]
    lengths = near or LENGTHS
    factors = []
    for additive in _ADDITIVE if n > 1 else _ADDITIVE[:1]:
        for length in lengths:
            kernel = Kernel(length, additive)
            matrix = kernel(squares)
            if dof > 0:
                values, vectors = np.linalg.eigh(rest.T @ matrix @ rest)
                factors.append(_Factor(kernel, matrix, np.maximum(values, 0.0), rest @ vectors))
            else:
                factors.append(_Factor(kernel, matrix, np.empty(0), rest))
    levels = [_fit(gram, f, factors, dof, count, usual) for gram in grams]
    return Kriged(points, grams, metric, full, levels)


def _fit(gram: Array, f: Array, factors: list[_Factor], dof: int, count: int, usual: float) -> Krige:
    best, nuggets = None, np.array(_NUGGETS)
    prior_n = _PRIOR_OF_NUGGET * np.log(nuggets / _USUAL_NUGGET) ** 2
    for factor in factors:
        prior = _PRIOR_OF_LENGTH * math.log(factor.kernel.length / usual) ** 2
        if dof > 0:
            energy = np.einsum("ij,ij->j", factor.vectors, gram @ factor.vectors)
            lam = factor.values[None] + nuggets[:, None]
            scale = np.maximum((energy[None] / lam).sum(1), 1e-300) / dof
            cost = dof * np.log(scale) + np.log(lam).sum(1) + prior + prior_n
        else:
            scale = np.full(len(nuggets), math.nan)
            cost = prior + prior_n
        i = int(np.argmin(cost))
        if best is None or cost[i] < best[0]:
            best = (cost[i], factor, nuggets[i], scale[i])
    assert best is not None
    _, factor, nugget, scale = best
    if not math.isfinite(scale):
        scale = max((np.diag(gram) - 2 * gram.mean(0) + gram.mean()).sum() / max(count - 1, 1), 1e-300)
    k = factor.matrix + nugget * np.eye(count)
    ki = _inverse(k)
    kf = ki @ f
    ai = _inverse(f.T @ kf)
    return Krige(factor.kernel, float(nugget), ki - kf @ ai @ kf.T, kf @ ai, ai, float(scale))


def _inverse(matrix: Array) -> Array:
    """Inverse, or pseudo-inverse where points coincide."""
    try:
        return np.asarray(np.linalg.inv(matrix), dtype=np.float64)
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.pinv(np.nan_to_num(matrix), hermitian=True), dtype=np.float64)


@frozen(eq=False, slots=False)
class Kriged:
    """Emulator of vectors at several levels.

    Parameters
    ----------
    points : ndarray, shape (N, n)
    grams : ndarray, shape (L, N, N)
    metric : Metric
    full : bool
        Whether the trend is linear.
    levels : list of Krige
    """

    points: Array
    grams: Array
    metric: Metric
    full: bool
    levels: list[Krige]

    @property
    def has_freedom(self) -> bool:
        """Whether there are more samples than coefficients of the trend."""
        return len(self.points) > 1 + (len(self.metric.linear) if self.full else 0)

    def predict(self, z: Array) -> tuple[Array, Array]:
        """Squares of the mean, and variances, at the rows of `z`, both of shape (k, L)."""
        w, variance = self.weights_of_many(z)
        return np.maximum(np.einsum("lki,lki->lk", w @ self.grams, w), 0).T, variance.T

    def weights_of_many(self, z: Array) -> tuple[Array, Array]:
        """Weights (L, k, N) and variances (L, k) at the rows of `z`."""
        squares, f = self.metric.squares(z, self.points), trend(z, self.metric.linear, self.full)
        q = np.stack([np.hstack([kernel(squares), f]) for kernel in self._kernels])[self._which]
        s = q @ self._system
        variance = 1 - np.einsum("lki,lki->lk", q, s)
        return s[..., : len(self.points)], self._scale[:, None] * np.maximum(variance, 0)

    def at(self, z: Array) -> tuple[Array, Array, Array, Array]:
        """Mean squares (L,), their slopes (L, n), variances and slopes at one point."""
        q, dq = self._correlations(z)
        s, count = np.matmul(self._system, q[..., None])[..., 0], len(self.points)
        w = s[:, :count]
        gw = np.matmul(self.grams, w[..., None])
        turned = np.matmul(self._system[:, :, :count], gw)[..., 0]
        slopes = np.matmul(np.stack([turned, s], 1), dq.transpose(0, 2, 1))
        variance = 1 - (q * s).sum(1)
        scale = self._scale * (variance > 0)
        mean = np.maximum((w * gw[..., 0]).sum(1), 0.0)
        return mean, 2 * slopes[:, 0], scale * variance, -2 * scale[:, None] * slopes[:, 1]

    def weights(self, z: Array) -> tuple[Array, Array, Array, Array]:
        """Weights (L, N), their slopes (L, N, n), variances (L,) and slopes (L, n)."""
        q, dq = self._correlations(z)
        s, count = np.matmul(self._system, q[..., None]), len(self.points)
        variance = 1 - (q * s[..., 0]).sum(1)
        scale = self._scale * (variance > 0)
        dw = np.matmul(self._system[:, :count], dq.transpose(0, 2, 1))
        return s[:, :count, 0], dw, scale * variance, -2 * scale[:, None] * np.matmul(dq, s)[..., 0]

    def _correlations(self, z: Array) -> tuple[Array, Array]:
        """Correlations with the samples, and the trend (L, N + p); slopes (L, n, N + p)."""
        squares, halves = self.metric.differences(z, self.points)
        f = np.concatenate([_ONE, z[self.metric.linear]]) if self.full else _ONE
        found = [kernel.with_slopes(squares, halves) for kernel in self._kernels]
        q = np.array([np.concatenate((k, f)) for k, _ in found])
        dq = np.array([np.concatenate((dk, self._trend_slopes), 1) for _, dk in found])
        # A kernel that all levels share broadcasts.
        return (q, dq) if len(found) == 1 else (q[self._which], dq[self._which])

    @cached_property
    def _kernels(self) -> list[Kernel]:
        """The different kernels of all levels."""
        return list(dict.fromkeys(level.kernel for level in self.levels))

    @cached_property
    def _which(self) -> NDArray[np.intp]:
        """Number of each level's kernel among them."""
        return np.array([self._kernels.index(level.kernel) for level in self.levels])

    @cached_property
    def _system(self) -> Array:
        """Inverse of the kriging system of each level, shape (L, N + p, N + p).

        With q the correlations with the samples and the trend, the samples' weights are the first N entries of its
        product with q, and the variance is 1 less the product of both with q.
        """
        return np.stack([np.block([[level.b, level.c], [level.c.T, -level.ai]]) for level in self.levels])

    @cached_property
    def _scale(self) -> Array:
        return np.array([level.scale for level in self.levels])

    def slope_variances(self, z: Array) -> Array:
        """Variance of the mean's slopes at one point, level 0, shape (n,)."""
        level, dq = self.levels[0], self._correlations(z)[1][0]
        share = 1 - level.kernel.additive + level.kernel.additive / len(z)
        explained = ((dq @ self._system[0]) * dq).sum(1)
        found: Array = level.scale * np.maximum(share / level.kernel.length**2 - explained, 0.0)
        return found

    @cached_property
    def _trend_slopes(self) -> Array:
        """Slopes of the trend, shape (n, p)."""
        n = self.points.shape[1]
        slopes = np.zeros((n, 1 + (len(self.metric.linear) if self.full else 0)))
        if self.full:
            slopes[self.metric.linear, 1 + np.arange(len(self.metric.linear))] = 1.0
        return slopes

    def foretold(self) -> Array:
        """Share of the samples' differences that the others predict, shape (L,)."""
        found = []
        for gram, level in zip(self.grams, self.levels, strict=True):
            q = np.maximum(np.diag(level.b), 1e-12)
            missed = np.sum((level.b @ gram) * level.b, 1) / q**2
            count = len(q)
            apart = (np.diag(gram) - 2 * gram.mean(0) + gram.mean()) * (count / max(count - 1, 1)) ** 2
            found.append(1 - np.median(missed / np.maximum(apart, _TINY)))
        return np.array(found)


def neighbours(kriged: Kriged) -> tuple[float, ...]:
    """Lengths next to those that were found, to be tried in the next fit."""
    found = {LENGTHS.index(level.kernel.length) for level in kriged.levels}
    near = {i + step for i in found for step in (-1, 0, 1) if 0 <= i + step < len(LENGTHS)}
    return tuple(LENGTHS[i] for i in sorted(near))
