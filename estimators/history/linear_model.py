"""Residuals as a linear function of the offset, from the inner products of their samples."""

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
    """Least squares of the residuals on 1 and the n offsets, in units of the width.

    There can be hundreds of thousands of residuals; what a step needs are products of the coefficients, and those
    follow from the products of the samples.

    Attributes
    ----------
    batches : tuple of Batch
        The samples, k in all.
    influence : Tensor, shape (1 + n, k)
        What each sample adds to each coefficient.
    products : Tensor, shape (1 + n, 1 + n)
        Inner products of the coefficients.
    rests : Tensor, shape (k, 1 + n)
        Inner products of what the model leaves of each sample with the coefficients.
    noise : Tensor, shape (k,)
        Squares of what it leaves, summed.
    determined : bool
        Whether there are more samples than coefficients.
    """

    batches: tuple[Batch, ...]
    influence: Tensor
    products: Tensor
    rests: Tensor
    noise: Tensor
    determined: bool

    def covariance(self) -> Tensor:
        """Covariance of the coefficients, shape (1 + n, 1 + n), summed over the residuals."""
        return (self.influence * self.noise) @ self.influence.T

    @cached_property
    def coefficients(self) -> Tensor:
        """The coefficients themselves, shape (1 + n, m): smoothed residuals, and their slopes times the width."""
        parts = torch.split(self.influence, [len(batch.points) for batch in self.batches], 1)
        return sum((part @ batch.values for part, batch in zip(parts, self.batches, strict=True)), torch.zeros(()))


def linear_model(batches: tuple[Batch, ...], seen: Reweighted, gram: Tensor) -> LinearModel:
    """Fit to the samples of a window, whose inner products are `gram`."""
    features, ridge = linear(seen.t)
    influence, left, determined = influences(features, ridge, seen.weights)
    rest = (torch.eye(len(features), dtype=features.dtype) - features @ influence) / left[:, None]
    across = rest @ gram
    return LinearModel(
        batches,
        influence,
        products=influence @ gram @ influence.T,
        rests=across @ influence.T,
        noise=(across * rest).sum(1).clamp(min=0.0),
        determined=determined,
    )


def extended(gram: Tensor | None, batches: tuple[Batch, ...]) -> Tensor:
    """Inner products of all samples of a window, from those of all but its last batch, and maybe of some dropped."""
    new = batches[-1].values
    cross = torch.cat([batch.values @ new.T for batch in batches])
    old = len(cross) - len(new)
    if gram is None or old == 0:
        return cross[old:]
    return torch.cat([torch.cat([gram[-old:, -old:], cross[:old]], 1), cross.T])
