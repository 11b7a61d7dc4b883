r"""Proposal densities: draws of perturbations, and their densities.

A perturbation is :math:`\tau = \sigma t`. A proposal draws `t` and gives its density as a ratio to the standard
Gaussian's, :math:`p(t) / \mathcal N(t)`.
"""

from __future__ import annotations

import abc
import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import lambertw
from torch import Tensor

__all__ = [
    "UNIFORM_HALF_WIDTH",
    "AggregateGradientProposal",
    "AggregateHessianProposal",
    "GaussianProposal",
    "OrthogonalProposal",
    "Proposal",
    "SharedProposal",
    "UniformProposal",
    "draw_gradient_elements",
    "draw_hessian_elements",
    "hessian_pairs",
    "signed_rayleigh",
    "two_lobed",
]

# Weight N(t) |t| / p(t) of a sample of eq. 18, up to its sign: the integral of |t| N(t).
GRADIENT_WEIGHT = math.sqrt(2 / math.pi)
# Likewise for eq. 21: the integral of |t^2 - 1| N(t).
HESSIAN_WEIGHT = 4 * math.exp(-0.5) / math.sqrt(2 * math.pi)
# A uniform proposal cuts off the kernels; beyond 6 sigma lies less than 1e-7 of the mass of each.
UNIFORM_HALF_WIDTH = 6.0


def signed_rayleigh(rng: np.random.Generator, size: int | tuple[int, ...]) -> NDArray[np.float64]:
    """Draws with density ``|t| exp(-t^2/2) / 2``, by the inverse CDF of eq. 18."""
    draws: NDArray[np.float64] = _signs(rng, size) * np.sqrt(-2 * np.log1p(-rng.random(size)))
    return draws


def two_lobed(rng: np.random.Generator, size: int | tuple[int, ...]) -> NDArray[np.float64]:
    r"""Draws with density proportional to :math:`|t^2 - 1| e^{-t^2/2}`.

    By the exact inverse of eq. 21: half of the mass lies inside :math:`|t| = 1` and half outside. In each part
    :math:`|t| e^{-t^2/2} = c` is uniform on :math:`(0, e^{-1/2}]`, so :math:`t^2 = -W(-c^2)` on the two real branches
    of Lambert's W.
    """
    c = (1 - rng.random(size)) * math.exp(-0.5)
    outside = rng.random(size) < 0.5
    squared = np.where(outside, -lambertw(-c * c, -1).real, -lambertw(-c * c, 0).real)
    # At the branch point -1/e, where W is -1, scipy returns nan.
    draws: NDArray[np.float64] = _signs(rng, size) * np.sqrt(np.nan_to_num(squared, nan=1.0))
    return draws


def _signs(rng: np.random.Generator, size: int | tuple[int, ...]) -> NDArray[np.float64]:
    return np.where(rng.integers(0, 2, size) == 1, 1.0, -1.0)


class Proposal(abc.ABC):
    """Density of perturbations, the same for all elements of the derivative."""

    @abc.abstractmethod
    def draw(self, rng: np.random.Generator, m: int, n: int) -> Tensor:
        """`m` independent draws, shape (m, n)."""

    @abc.abstractmethod
    def density(self, t: Tensor) -> Tensor:
        """Density at the rows of `t` relative to the standard Gaussian's, shape (m,)."""


class GaussianProposal(Proposal):
    """The smoothing kernel itself."""

    def draw(self, rng: np.random.Generator, m: int, n: int) -> Tensor:
        """See `Proposal`."""
        return torch.from_numpy(rng.standard_normal((m, n)))

    def density(self, t: Tensor) -> Tensor:
        """See `Proposal`."""
        return torch.ones(t.shape[0], dtype=t.dtype)


class UniformProposal(Proposal):
    """Uniform on a cube of half-width `UNIFORM_HALF_WIDTH`, as a baseline."""

    def draw(self, rng: np.random.Generator, m: int, n: int) -> Tensor:
        """See `Proposal`."""
        return torch.from_numpy(rng.uniform(-UNIFORM_HALF_WIDTH, UNIFORM_HALF_WIDTH, (m, n)))

    def density(self, t: Tensor) -> Tensor:
        """See `Proposal`."""
        volume_over_normaliser = 2 * UNIFORM_HALF_WIDTH / math.sqrt(2 * math.pi)
        return torch.exp(0.5 * t.square().sum(1) - t.shape[1] * math.log(volume_over_normaliser))


class OrthogonalProposal(Proposal):
    r"""Isotropic counterpart of the aggregate gradient density.

    It is :math:`|t| \mathcal N(t) / E|t|`; for n = 1 they are the same. Directions are the rows of random orthogonal
    matrices, one after the other.
    """

    def draw(self, rng: np.random.Generator, m: int, n: int) -> Tensor:
        """See `Proposal`."""
        bases = [np.linalg.qr(rng.standard_normal((n, n)))[0].T for _ in range(-(-m // n))]
        # Lengths follow the chi distribution with n + 1 degrees of freedom; the sign of a direction comes with it.
        lengths = _signs(rng, m) * np.sqrt(rng.chisquare(n + 1, m))
        return torch.from_numpy(np.concatenate(bases)[:m] * lengths[:, None])

    def density(self, t: Tensor) -> Tensor:
        """See `Proposal`."""
        n = t.shape[1]
        mean_length = math.sqrt(2) * math.exp(math.lgamma(0.5 * (n + 1)) - math.lgamma(0.5 * n))
        relative: Tensor = torch.linalg.vector_norm(t, dim=1) / mean_length
        return relative


class AggregateGradientProposal(Proposal):
    """Average of the optimal densities of all components of the gradient (sec. 3.5)."""

    def draw(self, rng: np.random.Generator, m: int, n: int) -> Tensor:
        """See `Proposal`."""
        t = rng.standard_normal((m, n))
        t[np.arange(m), rng.integers(0, n, m)] = signed_rayleigh(rng, m)
        return torch.from_numpy(t)

    def density(self, t: Tensor) -> Tensor:
        """See `Proposal`."""
        return t.abs().mean(1) / GRADIENT_WEIGHT


class AggregateHessianProposal(Proposal):
    """Average of the optimal densities of all elements of the Hessian (sec. 3.5)."""

    def draw(self, rng: np.random.Generator, m: int, n: int) -> Tensor:
        """See `Proposal`."""
        t = rng.standard_normal((m, n))
        i, j = rng.integers(0, n, m), rng.integers(0, n, m)
        rows = np.arange(m)
        off = i != j
        t[rows[~off], i[~off]] = two_lobed(rng, int((~off).sum()))
        t[rows[off], i[off]] = signed_rayleigh(rng, int(off.sum()))
        t[rows[off], j[off]] = signed_rayleigh(rng, int(off.sum()))
        return torch.from_numpy(t)

    def density(self, t: Tensor) -> Tensor:
        """See `Proposal`."""
        n = t.shape[1]
        size, squares = t.abs(), t.square()
        diagonal = (squares - 1).abs().sum(1) / HESSIAN_WEIGHT
        # The sum of |t_i t_j| over i != j.
        off = (size.sum(1).square() - squares.sum(1)) / GRADIENT_WEIGHT**2
        return (diagonal + off) / n**2


class SharedProposal(Proposal):
    """Proposal that is half Gaussian, half aggregate gradient.

    One set of samples serves `fun`, `jac` and `hess`. The Gaussian half keeps every weight below 2. The aggregate
    gradient density alone vanishes at 0, but the kernels of `fun` and `hess` do not, so that their variance would be
    infinite for n = 1.
    """

    def draw(self, rng: np.random.Generator, m: int, n: int) -> Tensor:
        """See `Proposal`."""
        t = rng.standard_normal((m, n))
        rows = np.flatnonzero(rng.integers(0, 2, m))
        t[rows, rng.integers(0, n, rows.size)] = signed_rayleigh(rng, rows.size)
        return torch.from_numpy(t)

    def density(self, t: Tensor) -> Tensor:
        """See `Proposal`."""
        return 0.5 + t.abs().mean(1) * (0.5 / GRADIENT_WEIGHT)


def draw_gradient_elements(rng: np.random.Generator, m: int, n: int) -> Tensor:
    """`m` draws for each component of the gradient, shape (n, m, n) (eq. 18).

    Block i has ``t_i`` from `signed_rayleigh` and Gaussians elsewhere; each weight is ``-sign(t_i) GRADIENT_WEIGHT``.
    """
    t = rng.standard_normal((n, m, n))
    i = np.arange(n)
    t[i, :, i] = signed_rayleigh(rng, (n, m))
    return torch.from_numpy(t)


def hessian_pairs(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices (i, j) of the upper triangle, n (n + 1) / 2 elements."""
    return np.triu_indices(n)


def draw_hessian_elements(rng: np.random.Generator, m: int, n: int) -> Tensor:
    """`m` draws for each element of the upper triangle, shape (n (n + 1) / 2, m, n)."""
    rows, columns = hessian_pairs(n)
    t = rng.standard_normal((rows.size, m, n))
    element = np.arange(rows.size)
    off, on = rows != columns, rows == columns
    t[element[off], :, rows[off]] = signed_rayleigh(rng, (int(off.sum()), m))
    t[element[off], :, columns[off]] = signed_rayleigh(rng, (int(off.sum()), m))
    t[element[on], :, rows[on]] = two_lobed(rng, (n, m))
    return torch.from_numpy(t)
