"""Covariance of the minimiser of a sum of squares.

It comes from the residuals at the minimum.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["block_size", "error_bars", "gradient_blocks", "parameter_covariance"]

# Neighbouring residuals that may share noise: 3 channels of a pixel and its neighbours.
# Measured (tests/benchmarks/constants.py): no influence within 2 % with 6 and 24.
_NOISE_BLOCK = 12
# Least number of blocks for each parameter: at the minimum the contributions of n blocks or fewer can all be 0.
# Measured (tests/benchmarks/constants.py): no influence within 2 % with 5 and 20.
_BLOCKS_PER_PARAMETER = 10
# Ratio from which a variance between three seeds exceeds the expected one: with two degrees of freedom, exp(-3) = 5 %
# are above it by chance.
_CLEARLY_MORE = 3.0
# Share of the squared Jacobian up to which it may be noise.
# Measured (tests/benchmarks/constants.py): no influence within 2 % with 0.25 and 1.
_MAX_NOISE_SHARE = 0.5


def gradient_blocks(slope: Tensor, residual: Tensor) -> Tensor:
    """Contribution of each block of residuals to J r, shape (n, blocks)."""
    contributions = slope * residual
    n, m = contributions.shape
    size = block_size(n, m)
    padded = torch.nn.functional.pad(contributions, (0, -m % size))
    return padded.reshape(n, -1, size).sum(2)


def parameter_covariance(
    slope: Tensor, residual: Tensor, excess: Tensor | None = None, noise: float = 0.0
) -> Tensor | None:
    r"""Covariance of the minimiser of a sum of squares.

    :math:`b / (b - n) (J J^T)^{-1} (\sum_b g_b g_b^T) (J J^T)^{-1}`, where b is the number of blocks of residuals and
    :math:`g_b` the contribution of a block to the gradient. It holds for residuals of any variances, also if those
    within a block are correlated, such as the channels of a pixel.

    Parameters
    ----------
    slope : Tensor, shape (n, m)
        Jacobian, transposed.
    residual : Tensor, shape (m,)
        Residuals at the minimum: noise and model error.
    excess : Tensor, shape (n, n), optional
        Expected contribution of noise to :math:`J J^T`.
    noise : float, default 0
        Variance of a residual, measured elsewhere. With fewer than 10 n residuals, all are taken to have the same
        variance :math:`s^2`, because few residuals do not determine different ones. It is the larger of this one and
        the sum of squares over m - n, and the covariance is :math:`s^2 (J J^T)^{-1}`.

    Returns
    -------
    Tensor, shape (n, n), or None
        None if the Jacobian is rank-deficient, or the variance unknown.
    """
    gram, blocks = slope @ slope.T, gradient_blocks(slope, residual)
    if int(torch.linalg.matrix_rank(gram, hermitian=True)) < len(gram):
        return None
    net = gram if excess is None else gram - excess
    variance = max(noise, _left_over(residual, len(gram)))
    return _covariance(net, blocks @ blocks.T, blocks.shape[1], variance)


def error_bars(
    slope: Tensor, residual: Tensor, excess: Tensor, noise: float, deviations: Tensor
) -> tuple[Tensor, Tensor] | None:
    """Standard errors of the minimiser, of shape (n,).

    The first are those under the present seed, the second those in all. Noise that acts like a change of a parameter,
    such as a gain that depends on the seed, leaves no trace in the residuals at the minimum. The second result contains
    it: if the residuals' variation between seeds moves the minimiser clearly more than the first says, that variation
    replaces it.

    Parameters
    ----------
    slope, residual, excess, noise
        As in `parameter_covariance`.
    deviations : Tensor, shape (k, m)
        Residuals under k seeds, less their mean.

    Returns
    -------
    tuple or None
        None if the Jacobian is rank-deficient, or within its noise.
    """
    covariance = parameter_covariance(slope, residual, excess, noise)
    if covariance is None or not _stands_out(slope, excess):
        return None
    variance = covariance.diagonal().clamp(min=0)
    moved = torch.linalg.solve(slope @ slope.T - excess, slope @ deviations.T)
    between = moved.square().sum(1) / (len(deviations) - 1)
    return variance.sqrt(), torch.where(between > _CLEARLY_MORE * variance, between, variance).sqrt()


def block_size(n: int, m: int) -> int:
    """Number of consecutive residuals in a block, for m residuals and n parameters."""
    return max(1, min(_NOISE_BLOCK, m // (_BLOCKS_PER_PARAMETER * n)))


def _stands_out(slope: Tensor, excess: Tensor) -> bool:
    r"""Whether :math:`J J^T` clearly exceeds the contribution of noise.

    Its mean is `excess`; with m residuals it varies by a share of :math:`\sqrt{2 / m}`.
    """
    factor, failed = torch.linalg.cholesky_ex(slope @ slope.T - excess)
    if int(failed) > 0:
        return False
    half = torch.linalg.solve_triangular(factor, excess, upper=False)
    relative = torch.linalg.solve_triangular(factor, half.T, upper=False)
    return float(torch.linalg.matrix_norm(relative, 2)) * math.sqrt(2 / slope.shape[1]) < _MAX_NOISE_SHARE


def _left_over(residual: Tensor, n: int) -> float:
    """Variance of a residual, from the residuals of a fit of n parameters."""
    return float(residual.square().sum()) / (len(residual) - n) if len(residual) > n else 0.0


def _covariance(gram: Tensor, scatter: Tensor, blocks: int, variance: float) -> Tensor | None:
    n, (factor, failed) = len(gram), torch.linalg.cholesky_ex(gram)
    few = blocks < _BLOCKS_PER_PARAMETER * n
    if int(failed) > 0 or (few and variance == 0.0):
        return None
    inverse: Tensor = torch.cholesky_inverse(factor)
    return variance * inverse if few else blocks / (blocks - n) * inverse @ scatter @ inverse
