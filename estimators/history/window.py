"""Samples of the last iterations, re-weighted to the present point."""

from __future__ import annotations

from typing import NamedTuple

import torch
from attrs import field, frozen
from torch import Tensor

from . import directions

__all__ = ["Batch", "Reweighted", "helpful", "reweight"]

# Share of all weight below which a batch is dropped.
# Measured (tests/benchmarks/constants.py): with 5e-05 and 0.0002, as many and 1 % more evaluations; 53 and 54 runs
# solved rather than 54 of 54.
_LEAST_BATCH_WEIGHT = 1e-4
# Smallest log density of a sample: at the centre of its own batch the density is 0 and its weight would be infinite.
# e^-30 is 1e-13, next to 0 beside the other batches.
_LEAST_LOG_DENSITY = -30.0


@frozen(eq=False)
class Batch:
    """Samples of one iteration, drawn around `centre` with `sigma`.

    `values` have shape (k,), or (k, m) for residuals. `funs` of shape (k,) are the values of the objective; for
    residuals, the means of their squares.
    """

    centre: Tensor
    sigma: float
    points: Tensor
    values: Tensor
    funs: Tensor = field()

    @funs.default
    def _mean_squares(self) -> Tensor:
        if self.values.ndim == 1:
            return self.values
        norms: Tensor = torch.linalg.vector_norm(self.values, dim=1)
        return norms.square() / self.values.shape[1]


class Reweighted(NamedTuple):
    """Samples of a window, relative to a point.

    Attributes
    ----------
    t : Tensor, shape (k, n)
        Offsets from the point, in units of sigma.
    weights : Tensor, shape (k,)
        Non-negative, summing to 1.
    funs : Tensor, shape (k,)
        The objective's values.
    """

    t: Tensor
    weights: Tensor
    funs: Tensor


def reweight(batches: tuple[Batch, ...], x: Tensor, sigma: float) -> Reweighted:
    r"""Weight all samples of a window as samples of :math:`N(x, \sigma^2 I)`.

    By the balance heuristic [1]_: the weight of a sample is the Gaussian's density over the mean density of all
    batches, whichever batch it is from. The weights are then divided by their sum.

    Parameters
    ----------
    batches : tuple of Batch
        At least one.
    x : Tensor, shape (n,)
        Centre of the Gaussian.
    sigma : float
        Its standard deviation, > 0.

    References
    ----------
    .. [1] Veach, Guibas, "Optimally Combining Sampling Techniques for Monte Carlo Rendering", SIGGRAPH 1995.
    """
    points = torch.cat([batch.points for batch in batches])
    t = (points - x) / sigma
    log_weights = _log_gaussian(t) - _log_mixture(batches, points)
    weights = torch.softmax(log_weights, 0)
    funs = torch.cat([batch.funs for batch in batches])
    return Reweighted(t, weights, funs)


def helpful(batches: tuple[Batch, ...], seen: Reweighted) -> tuple[Batch, ...]:
    """Drop the oldest batches whose weight has become negligible."""
    shares = [float(part.sum()) for part in torch.split(seen.weights, [len(batch.points) for batch in batches])]
    first = next((i for i, share in enumerate(shares) if share > _LEAST_BATCH_WEIGHT), len(batches) - 1)
    return batches[first:]


def _log_mixture(batches: tuple[Batch, ...], points: Tensor) -> Tensor:
    """Log density of all samples of a window at `points`, of shape (k,).

    It is known up to a constant.
    """
    dtype, n = points.dtype, points.shape[1]
    centres = torch.stack([batch.centre for batch in batches])
    sigmas = torch.tensor([batch.sigma for batch in batches], dtype=dtype)
    counts = torch.tensor([float(len(batch.points)) for batch in batches], dtype=dtype)
    t = (points[None] - centres[:, None]) / sigmas[:, None, None]
    densities = directions.log_density(t).clamp(min=_LEAST_LOG_DENSITY) + _log_gaussian(t)
    return torch.logsumexp(densities + (torch.log(counts) - n * torch.log(sigmas))[:, None], 0)


def _log_gaussian(t: Tensor) -> Tensor:
    """Log of the Gaussian density at offsets in units of sigma, up to a constant."""
    return -0.5 * t.square().sum(-1)
