"""Samples of the last estimates, re-weighted to the present point."""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor

from ..smoothing.samplers import OrthogonalProposal

__all__ = ["PROPOSAL", "Batch", "reweighted"]

PROPOSAL = OrthogonalProposal()
# Smallest density of a sample, relative to a Gaussian's: at the centre of its own batch the density is 0 and its weight
# would be infinite. It is next to 0 beside the other batches.
_LEAST_DENSITY = 1e-13


@frozen(eq=False)
class Batch:
    """Residuals of shape (k, m) at points drawn around `centre` with `sigma`."""

    centre: Tensor
    sigma: float
    points: Tensor
    residuals: Tensor


def reweighted(batches: tuple[Batch, ...], x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    r"""Offsets from `x` in units of sigma, and weights, of all samples.

    The samples stand for those of :math:`N(x, \sigma^2 I)`. By the balance heuristic [1]_ the weight of a sample is the
    Gaussian's density over the mean density of all batches, whichever it is from. The weights sum to 1.

    References
    ----------
    .. [1] Veach, Guibas, "Optimally Combining Sampling Techniques for Monte Carlo Rendering", SIGGRAPH 1995.
    """
    points = torch.cat([batch.points for batch in batches])
    t, n = (points - x) / sigma, points.shape[1]
    densities = []
    for batch in batches:
        own = (points - batch.centre) / batch.sigma
        relative = torch.log(PROPOSAL.density(own).clamp(min=_LEAST_DENSITY))
        count = len(batch.points) / batch.sigma**n
        densities.append(relative - 0.5 * own.square().sum(1) + torch.log(points.new_tensor(count)))
    return t, torch.softmax(-0.5 * t.square().sum(1) - torch.logsumexp(torch.stack(densities), 0), 0)
