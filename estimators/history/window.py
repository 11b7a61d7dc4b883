"""Samples of the last iterations, re-weighted to where the run now is."""

from __future__ import annotations

from typing import NamedTuple

import torch
from attrs import field, frozen
from torch import Tensor

from . import directions

__all__ = ["Batch", "Reweighted", "helpful", "reweight"]

# Share of all weight below which a batch no longer helps.
_NOTHING = 1e-4


@frozen(eq=False)
class Batch:
    """Samples of one iteration: drawn around `centre` with width `sigma`, at `points`, with `values` (k,) or (k, m).

    `funs` of shape (k,) are the objective's values, of residuals the means of their squares.
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
    """Samples as seen from a point.

    Attributes
    ----------
    t : Tensor, shape (k, n)
        Offsets from the point, in units of the width.
    weights : Tensor, shape (k,)
        Non-negative, summing to 1.
    funs : Tensor, shape (k,)
        The objective's values.
    """

    t: Tensor
    weights: Tensor
    funs: Tensor


def reweight(batches: tuple[Batch, ...], x: Tensor, sigma: float) -> Reweighted:
    r"""Weights that turn all samples into one sample of :math:`N(x, \sigma^2 I)`.

    The balance heuristic [1]_: a sample counts by the Gaussian's density there over the mean density of all batches,
    whichever it came from; then all weights are divided by their sum.

    Parameters
    ----------
    batches : tuple of Batch
        At least one.
    x : Tensor, shape (n,)
        Where.
    sigma : float
        Width of the Gaussian, > 0.

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
    """The window without its oldest batches, as far as they have no weight any more."""
    shares = [float(part.sum()) for part in torch.split(seen.weights, [len(batch.points) for batch in batches])]
    first = next((i for i, share in enumerate(shares) if share > _NOTHING), len(batches) - 1)
    return batches[first:]


def _log_mixture(batches: tuple[Batch, ...], points: Tensor) -> Tensor:
    """Log of the density of all samples of a window at `points`, shape (k,), but for a constant that all share."""
    dtype, n = points.dtype, points.shape[1]
    centres = torch.stack([batch.centre for batch in batches])
    widths = torch.tensor([batch.sigma for batch in batches], dtype=dtype)
    counts = torch.tensor([float(len(batch.points)) for batch in batches], dtype=dtype)
    t = (points[None] - centres[:, None]) / widths[:, None, None]
    # A sample at a centre itself has density 0 there; a floor keeps its weight finite.
    densities = directions.log_density(t).clamp(min=-30.0) + _log_gaussian(t)
    return torch.logsumexp(densities + (torch.log(counts) - n * torch.log(widths))[:, None], 0)


def _log_gaussian(t: Tensor) -> Tensor:
    """Of offsets in units of the width, but for a constant."""
    return -0.5 * t.square().sum(-1)
