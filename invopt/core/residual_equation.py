"""Sides: the two sides of an equation that a network is to satisfy, at sampled points."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import ClassVar

import torch
from attrs import field, frozen
from torch import Tensor

__all__ = ["ResidualLoss", "Sides"]


class ResidualLoss(abc.ABC):
    """How the difference of two sides is measured, point by point.

    Attributes
    ----------
    quadratic : bool
        Whether it is a square, so that it splits into the product of two independent estimates.
    crossed : bool
        Whether one estimate of the right side weighs the residual of the other, and the reverse.
    """

    quadratic: ClassVar[bool] = True
    crossed: ClassVar[bool] = False

    @abc.abstractmethod
    def values(self, left: Tensor, right: Tensor) -> Tensor:
        """Losses of shape (k,) for sides of shape (k, c)."""

    def product(self, left: Tensor, first: Tensor, second: Tensor, reference: Tensor) -> Tensor:
        """``(left - first)(left - second)`` in the loss's own norm, of shape (k,); `reference` is what normalises."""
        raise TypeError(f"{type(self).__name__} is no square and has no product")

    def cross(self, left: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """Mean of the losses of two estimates, each in the norm of the other, of shape (k,)."""
        raise TypeError(f"{type(self).__name__} has no right side in its norm")

    def reduce(self, values: Tensor) -> Tensor:
        """One number of the losses of all points."""
        return values.mean()


@frozen(kw_only=True, eq=False)
class Sides:
    """Left and right side of a residual equation at k sampled points, as functions of the weights.

    Parameters
    ----------
    weights : Tensor, shape (n,)
        Leaf that both sides depend on.
    left : Tensor, shape (k, c)
        Left side, with its graph.
    right : Tensor, shape (k, m, c)
        Independent estimates of the right side, each unbiased alone; with their graph if that was asked for.
    loss : ResidualLoss
        How they are compared.
    extra : Tensor, optional
        A loss of weights that the sides do not depend on, such as those of a sampler that learns along the way.
    facts : mapping of str to float, default {}
        What a reader of the progress should see.
    """

    weights: Tensor
    left: Tensor
    right: Tensor
    loss: ResidualLoss
    extra: Tensor | None = None
    facts: Mapping[str, float] = field(factory=dict)

    def halves(self) -> tuple[Tensor, Tensor]:
        """Two independent estimates of the right side, each of shape (k, c), of half of its samples; m >= 2."""
        half = self.right.shape[1] // 2
        return self.right[:, :half].mean(1), self.right[:, half : 2 * half].mean(1)

    def gradient(self, loss: Tensor) -> Tensor:
        """Derivative of `loss`, and of `extra`, with respect to the weights, shape (n,)."""
        total = loss if self.extra is None else loss + self.extra
        (jac,) = torch.autograd.grad(total, self.weights)
        return jac
