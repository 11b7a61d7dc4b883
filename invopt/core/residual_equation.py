"""Sides of a residual equation at sampled points, and ResidualLoss.

ResidualLoss is how the difference of the sides is measured.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import ClassVar

import torch
from attrs import field, frozen
from torch import Tensor

__all__ = ["ResidualLoss", "Sides"]


class ResidualLoss(abc.ABC):
    """Loss of the difference of two sides, point by point.

    Attributes
    ----------
    quadratic : bool
        Whether the loss is a square, so that it can be estimated by a product of two independent residuals.
    crossed : bool
        Whether each of two estimates of the right side normalises the residual of the other.
    """

    quadratic: ClassVar[bool] = True
    crossed: ClassVar[bool] = False

    @abc.abstractmethod
    def values(self, left: Tensor, right: Tensor) -> Tensor:
        """Losses of shape (k,) for sides of shape (k, c)."""

    def product(self, left: Tensor, first: Tensor, second: Tensor, reference: Tensor) -> Tensor:
        """Product ``(left - first)(left - second)`` in the norm of the loss.

        Of shape (k,), normalised by `reference`.
        """
        raise TypeError(f"{type(self).__name__} is not a square, and has no product form")

    def cross(self, left: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """Mean of the losses of two estimates, of shape (k,).

        Each is normalised by the other.
        """
        raise TypeError(f"{type(self).__name__} is not normalised by the right side")

    def reduce(self, values: Tensor) -> Tensor:
        """Reduce the losses of all points to one number."""
        return values.mean()


@frozen(kw_only=True, eq=False)
class Sides:
    """Left and right side of a residual equation at k sampled points.

    Both are functions of the weights.

    Parameters
    ----------
    weights : Tensor, shape (n,)
        Leaf tensor that both sides depend on.
    left : Tensor, shape (k, c)
        Left side, with its graph.
    right : Tensor, shape (k, m, c)
        Independent estimates of the right side, each unbiased alone; with their graph if that was asked for.
    loss : ResidualLoss
        Loss of their difference.
    extra : Tensor, optional
        A loss of weights that the sides do not depend on, such as those of a sampler that is trained as well.
    metrics : mapping of str to float, default {}
        Numbers for the progress bar, by name.
    """

    weights: Tensor
    left: Tensor
    right: Tensor
    loss: ResidualLoss
    extra: Tensor | None = None
    metrics: Mapping[str, float] = field(factory=dict)

    def halves(self) -> tuple[Tensor, Tensor]:
        """Two independent estimates of the right side, each of shape (k, c).

        Each is of half of the side's samples; m >= 2.
        """
        half = self.right.shape[1] // 2
        return self.right[:, :half].mean(1), self.right[:, half : 2 * half].mean(1)

    def gradient(self, loss: Tensor) -> Tensor:
        """Derivative of `loss`, and of `extra`, with respect to the weights, shape (n,)."""
        total = loss if self.extra is None else loss + self.extra
        (jac,) = torch.autograd.grad(total, self.weights)
        return jac
