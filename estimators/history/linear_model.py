"""Linear model of residuals, fitted through the inner products of their samples."""

from __future__ import annotations

from functools import cached_property

import torch
from attrs import frozen
from torch import Tensor

from .regression import influences, linear
from .window import Batch, Reweighted

__all__ = ["LinearModel", "extended", "linear_model"]


@frozen(eq=False, slots=False)
class LinearModel:
    """Least-squares fit of the residuals to 1 and the n offsets, in units of sigma.

    There can be hundreds of thousands of residuals. A step needs only inner products of the coefficients, which follow
    from inner products of the samples.

    Attributes
    ----------
    batches : tuple of Batch
        The samples, k in all.
    influence : Tensor, shape (1 + n, k)
        Weight of each sample in each coefficient.
    products : Tensor, shape (1 + n, 1 + n)
        Inner products of the coefficients.
    rests : Tensor, shape (k, 1 + n)
        Inner products of the fit's residual at each sample with the coefficients.
    noise : Tensor, shape (k,)
        Squared norms of these residuals of the fit.
    overdetermined : bool
        Whether there are more samples than coefficients.
    """

    batches: tuple[Batch, ...]
    influence: Tensor
    products: Tensor
    rests: Tensor
    noise: Tensor
    overdetermined: bool

    def covariance(self) -> Tensor:
        """Covariance of the coefficients, shape (1 + n, 1 + n), summed over the residuals."""
        return (self.influence * self.noise) @ self.influence.T

    @cached_property
    def coefficients(self) -> Tensor:
        """Coefficients of shape (1 + n, m) of the linear model.

        They are smoothed residuals, and their slopes times sigma.
        """
        parts = torch.split(self.influence, [len(batch.points) for batch in self.batches], 1)
        return sum((part @ batch.values for part, batch in zip(parts, self.batches, strict=True)), torch.zeros(()))


def linear_model(batches: tuple[Batch, ...], seen: Reweighted, gram: Tensor) -> LinearModel:
    """Fit a linear model to the samples of a window, whose inner products are `gram`."""
    features, ridge = linear(seen.t)
    influence, left, overdetermined = influences(features, ridge, seen.weights)
    rest = (torch.eye(len(features), dtype=features.dtype) - features @ influence) / left[:, None]
    across = rest @ gram
    return LinearModel(
        batches,
        influence,
        products=influence @ gram @ influence.T,
        rests=across @ influence.T,
        noise=(across * rest).sum(1).clamp(min=0.0),
        overdetermined=overdetermined,
    )


def extended(gram: Tensor | None, batches: tuple[Batch, ...]) -> Tensor:
    """Extend inner products of samples by the last batch of a window.

    `gram` holds those of the samples before, perhaps of dropped ones too.
    """
    new = batches[-1].values
    cross = torch.cat([batch.values @ new.T for batch in batches])
    old = len(cross) - len(new)
    if gram is None or old == 0:
        return cross[old:]
    return torch.cat([torch.cat([gram[-old:, -old:], cross[:old]], 1), cross.T])
