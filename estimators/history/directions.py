"""Isotropic perturbations and their exact densities.

Directions are orthogonal, lengths stratified.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from attrs import field, frozen
from numpy.typing import NDArray
from scipy.special import gammaincinv, gammaln
from torch import Tensor

__all__ = ["Directions", "draw", "log_density"]

# Steps of the golden ratio, modulo 1, are the additive sequence of lowest discrepancy (Weyl; Knuth, TAOCP 3, sec. 6.4).
_GOLDEN = (math.sqrt(5) - 1) / 2


@frozen(eq=False)
class Directions:
    """Unused rows of the present basis, shape (n,), and quantile of the last length."""

    basis: NDArray[np.float64] = field(factory=lambda: np.empty((0, 0)))
    quantile: float | None = None


def draw(rng: np.random.Generator, m: int, n: int, state: Directions) -> tuple[Tensor, Directions]:
    r"""Draw `m` perturbations of shape (m, n), each of density :math:`|t| N(t) / E|t|`.

    The density is the isotropic counterpart of the aggregate proposal of the paper's sec. 3.5; for n = 1 they are the
    same. Directions are the rows of random orthogonal matrices, one after the other. Lengths are quantiles from a
    low-discrepancy sequence. Each draw alone has exactly this density; together they leave fewer gaps.
    """
    last = rng.random() if state.quantile is None else state.quantile
    quantiles = (last + _GOLDEN * np.arange(1, m + 1)) % 1.0
    rows = state.basis.reshape(-1, n)
    blocks = [rows] + [_orthogonal(rng, n) for _ in range(-(-(m - len(rows)) // n))]
    rows = np.concatenate(blocks)
    # Lengths follow the chi distribution with n + 1 degrees of freedom.
    lengths = np.sqrt(2 * gammaincinv(0.5 * (n + 1), quantiles)) * rng.choice([-1.0, 1.0], m)
    return torch.from_numpy(rows[:m] * lengths[:, None]), Directions(rows[m:], float(quantiles[-1]))


def _orthogonal(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Random orthogonal basis of shape (n, n).

    The sign of each vector comes with its length.
    """
    basis: NDArray[np.float64] = np.linalg.qr(rng.standard_normal((n, n)))[0].T
    return basis


def log_density(t: Tensor) -> Tensor:
    """Log density at `t`, (..., k, n), relative to a Gaussian's; shape (..., k)."""
    n = t.shape[-1]
    mean_length = math.sqrt(2) * math.exp(gammaln(0.5 * (n + 1)) - gammaln(0.5 * n))
    return torch.log(torch.linalg.vector_norm(t, dim=-1) / mean_length)
