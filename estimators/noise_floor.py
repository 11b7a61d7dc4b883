"""When a descent has come down to the noise, and what is done there."""

from __future__ import annotations

import math

import numpy as np
import torch
from attrs import evolve, frozen
from scipy.sparse import csr_matrix
from torch import Tensor

from invopt._evaluate import Evaluator

__all__ = [
    "RAISE",
    "NoiseFloor",
    "gradient_blocks",
    "newton_step",
    "parameter_covariance",
    "sparse_parameter_covariance",
]

# A descent ends above the floor where its lowest value exceeds this multiple of the noise ...
_ABOVE = 1.5
# ... by more than this share of what it started with above the noise, or of the noise where that is more.
_LEFT = 0.15
# Four times the samples should quarter the residuals' mean square; above this ratio other errors prevail.
_PAYS = 0.6
RAISE = 4
ONLY_NOISE = "values differ, but by no more than noise"
# Standard errors of a mean square that noise alone does not come to.
_CERTAIN = 4.0
# Residuals next to each other that may share noise: the channels of a pixel and of its neighbours.
_BLOCK = 12
# Blocks for each parameter: at the minimum their contributions sum to 0, so that few of them look like none.
_BLOCKS = 10


@frozen(kw_only=True, eq=False)
class NoiseFloor:
    """What is known of the noise.

    Attributes
    ----------
    spp : int or None
        The problem's own samples per pixel; None where there are none to raise.
    restarts : int
        How often the width may still go back.
    factor : int
        By how much the samples per pixel have been raised.
    noise : float or None
        Mean square of the residuals' noise with the problem's own samples per pixel, once measured.
    before : float or None
        Mean square of the residuals at the answer, before the last raise.
    """

    spp: int | None
    restarts: int
    factor: int = 1
    noise: float | None = None
    before: float | None = None

    @property
    def raised(self) -> int | None:
        """Samples per pixel to ask for; None for the problem's own."""
        return None if self.spp is None or self.factor == 1 else self.spp * self.factor

    @property
    def level(self) -> float:
        """Mean square of the noise with as many samples per pixel as there now are."""
        assert self.noise is not None
        return self.noise / self.factor

    def is_above(self, lowest: float, top: float) -> bool:
        """Whether a descent from `top`, with the problem's own samples, to `lowest` ended above the noise."""
        assert self.noise is not None
        return lowest > _ABOVE * self.level + _LEFT * max(top - self.noise, self.noise)

    def has_signal(self, top: float, n: int, m: int) -> bool:
        """Whether a mean square of m residuals, at the start, was more than noise, which those of a block may share."""
        assert self.noise is not None
        return top - self.noise > _CERTAIN * self.noise * math.sqrt(2 * _block_size(n, m) / m)

    def can_raise(self, value: float, limit: int) -> bool:
        """Whether more samples per pixel are allowed, and still lowered the residuals when last raised."""
        if self.spp is None or self.factor * RAISE > limit:
            return False
        return self.before is None or value < _PAYS * self.before

    def measured(self, level: float) -> NoiseFloor:
        """With the noise found at the present samples per pixel."""
        return evolve(self, noise=level * self.factor)

    def restarted(self) -> NoiseFloor:
        """With one descent less to go, and the problem's own samples per pixel."""
        return evolve(self, restarts=self.restarts - 1, factor=1, before=None)

    def after_raise(self, value: float) -> NoiseFloor:
        """The next level, `value` being the residuals' mean square at this one."""
        return evolve(self, factor=self.factor * RAISE, before=value)


def newton_step(objective: Evaluator, x: Tensor, jac: Tensor, hess: Tensor) -> Tensor | None:
    """Step to a quadratic's minimum, without parameters pressed against a bound; None if it has no minimum."""
    free = objective.projected_gradient(x, jac) == jac
    factor, failed = torch.linalg.cholesky_ex(hess[free][:, free])
    if int(failed) > 0:
        return None
    step = torch.zeros_like(jac)
    step[free] = torch.cholesky_solve(-jac[free][:, None], factor)[:, 0]
    return step


def gradient_blocks(slope: Tensor, residual: Tensor) -> Tensor:
    """What each block of residuals contributes to J r, shape (n, blocks); of few residuals each is a block."""
    contributions = slope * residual
    n, m = contributions.shape
    size = _block_size(n, m)
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
        Variance of a residual, from elsewhere. Where blocks are no more than 2 n it is taken for that of each, and the
        covariance is :math:`noise (J J^T)^{-1}`: of few residuals, what is left at the minimum says too little.

    Returns
    -------
    Tensor, shape (n, n), or None
        None where the Jacobian does not determine the parameters, or nothing determines the noise.
    """
    gram, blocks = slope @ slope.T, gradient_blocks(slope, residual)
    if int(torch.linalg.matrix_rank(gram, hermitian=True)) < len(gram):
        return None
    return _covariance(gram if excess is None else gram - excess, blocks @ blocks.T, blocks.shape[1], noise)


def sparse_parameter_covariance(jacobian: csr_matrix, residual: Tensor) -> Tensor | None:
    """`parameter_covariance` for a sparse Jacobian, of shape (m, n)."""
    m, n = jacobian.shape
    size = _block_size(n, m)
    sums = csr_matrix((np.ones(m), np.arange(m), [*range(0, m, size), m]), shape=(-(-m // size), m))
    blocks = sums @ jacobian.multiply(residual.numpy()[:, None]).tocsr()
    gram, scatter = (torch.from_numpy((each.T @ each).toarray()) for each in (jacobian, blocks))
    return _covariance(gram, scatter, blocks.shape[0], 0.0)


def _block_size(n: int, m: int) -> int:
    return max(1, min(_BLOCK, m // (_BLOCKS * n)))


def _covariance(gram: Tensor, scatter: Tensor, blocks: int, noise: float) -> Tensor | None:
    n, (factor, failed) = len(gram), torch.linalg.cholesky_ex(gram)
    few = blocks <= 2 * n
    if int(failed) > 0 or (few and noise == 0.0):
        return None
    inverse: Tensor = torch.cholesky_inverse(factor)
    return noise * inverse if few else blocks / (blocks - n) * inverse @ scatter @ inverse
