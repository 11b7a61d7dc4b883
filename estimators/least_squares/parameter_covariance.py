"""Error bars of the minimiser of a sum of squares, from what is left of its residuals."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

__all__ = ["block_size", "error_bars", "gradient_blocks", "parameter_covariance", "sparse_parameter_covariance"]

# Residuals next to each other that may share noise: the channels of a pixel and of its neighbours.
_BLOCK = 12
# Blocks for each parameter: at the minimum their contributions sum to 0, so that few of them look like none.
_BLOCKS = 10
# Ratio from which a variance between seeds, of two degrees of freedom, is more than expected (5 % by chance).
_MORE = 3.0
# Share of a Jacobian's square that may be noise.
_DOUBT = 0.5


def gradient_blocks(slope: Tensor, residual: Tensor) -> Tensor:
    """What each block of residuals contributes to J r, shape (n, blocks); of few residuals each is a block."""
    contributions = slope * residual
    n, m = contributions.shape
    size = block_size(n, m)
    padded = torch.nn.functional.pad(contributions, (0, -m % size))
    return padded.reshape(n, -1, size).sum(2)


def parameter_covariance(
    slope: Tensor, residual: Tensor, excess: Tensor | None = None, noise: float = 0.0
) -> Tensor | None:
    r"""Covariance of the minimiser of a sum of squares.

    :math:`b / (b - n) (J J^T)^{-1} (\sum_b g_b g_b^T) (J J^T)^{-1}`, b being the number of blocks: :math:`g_b` is the
    gradient that a block of the residuals contributes, whatever their variances are, and correlated within a block or
    not, as the channels of a pixel are.

    Parameters
    ----------
    slope : Tensor, shape (n, m)
        Jacobian, transposed.
    residual : Tensor, shape (m,)
        Residuals at the minimum: noise, and whatever else is left.
    excess : Tensor, shape (n, n), optional
        What noise of the slope adds to :math:`J J^T`.
    noise : float, default 0
        Variance of a residual, from elsewhere. Where residuals are fewer than 10 n, all are taken to have one variance
        :math:`s^2`, this or what is left over m - n of them where that is more, and the covariance is
        :math:`s^2 (J J^T)^{-1}`: what few leave at the minimum does not tell one variance from another.

    Returns
    -------
    Tensor, shape (n, n), or None
        None where the Jacobian does not determine the parameters, or nothing determines the noise.
    """
    gram, blocks = slope @ slope.T, gradient_blocks(slope, residual)
    if int(torch.linalg.matrix_rank(gram, hermitian=True)) < len(gram):
        return None
    net = gram if excess is None else gram - excess
    variance = max(noise, _left_over(residual, len(gram)))
    return _covariance(net, blocks @ blocks.T, blocks.shape[1], variance, fitted=len(gram))


def error_bars(
    slope: Tensor, residual: Tensor, excess: Tensor, noise: float, deviations: Tensor
) -> tuple[Tensor, Tensor] | None:
    """Standard errors of the minimiser, shape (n,): under the present seed, and all told.

    What noise and parameters do alike, as a gain does that changes with the seed, nothing that is left at the minimum
    tells of. It is in the second, by what seeds change of the residuals, where that is clearly more.

    Parameters
    ----------
    slope, residual, excess, noise
        As of `parameter_covariance`.
    deviations : Tensor, shape (k, m)
        Residuals under k seeds, less their mean.

    Returns
    -------
    tuple or None
        None where the Jacobian does not determine the parameters, or does not stand out of its noise.
    """
    covariance = parameter_covariance(slope, residual, excess, noise)
    if covariance is None or not _stands_out(slope, excess):
        return None
    variance = covariance.diagonal().clamp(min=0)
    moved = torch.linalg.solve(slope @ slope.T - excess, slope @ deviations.T)
    between = moved.square().sum(1) / (len(deviations) - 1)
    return variance.sqrt(), torch.where(between > _MORE * variance, between, variance).sqrt()


def sparse_parameter_covariance(jacobian: csr_matrix, residual: Tensor) -> Tensor | None:
    """`parameter_covariance` for a sparse Jacobian, of shape (m, n), under a seed to which nothing was fitted.

    The residuals are those of an answer that was found under another seed: they hold its noise as well as their own,
    so that both sums of squares are too large by n parts in m, and not too small.
    """
    m, n = jacobian.shape
    size = block_size(n, m)
    sums = csr_matrix((np.ones(m), np.arange(m), [*range(0, m, size), m]), shape=(-(-m // size), m))
    blocks = sums @ jacobian.multiply(residual.numpy()[:, None]).tocsr()
    gram, scatter = (torch.from_numpy((each.T @ each).toarray()) for each in (jacobian, blocks))
    return _covariance(gram, scatter, blocks.shape[0], float(residual.square().sum()) / (m + n), fitted=-n)


def block_size(n: int, m: int) -> int:
    """How many residuals in a row make a block, of m for n parameters."""
    return max(1, min(_BLOCK, m // (_BLOCKS * n)))


def _stands_out(slope: Tensor, excess: Tensor) -> bool:
    r"""Whether :math:`J J^T` stands out of what noise of J may have added to it.

    On average that is `excess`, but of m residuals more or less by a share of :math:`\sqrt{2 / m}`.
    """
    factor, failed = torch.linalg.cholesky_ex(slope @ slope.T - excess)
    if int(failed) > 0:
        return False
    half = torch.linalg.solve_triangular(factor, excess, upper=False)
    relative = torch.linalg.solve_triangular(factor, half.T, upper=False)
    return float(torch.linalg.matrix_norm(relative, 2)) * math.sqrt(2 / slope.shape[1]) < _DOUBT


def _left_over(residual: Tensor, n: int) -> float:
    """Variance of a residual by what n parameters leave of them."""
    return float(residual.square().sum()) / (len(residual) - n) if len(residual) > n else 0.0


def _covariance(gram: Tensor, scatter: Tensor, blocks: int, variance: float, *, fitted: int) -> Tensor | None:
    """Covariance of n parameters; of them, `fitted` were fitted to these residuals, or -n to others."""
    n, (factor, failed) = len(gram), torch.linalg.cholesky_ex(gram)
    few = blocks < _BLOCKS * n
    if int(failed) > 0 or (few and variance == 0.0):
        return None
    inverse: Tensor = torch.cholesky_inverse(factor)
    return variance * inverse if few else blocks / (blocks - fitted) * inverse @ scatter @ inverse
