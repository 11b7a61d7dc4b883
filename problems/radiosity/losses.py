"""Losses of a residual: how the two sides of the rendering equation are compared."""

from __future__ import annotations

from typing import ClassVar

import torch
from attrs import field, frozen
from torch import Tensor
from torch.nn import functional

from invopt._sides import ResidualLoss
from invopt._validators import by_name, real

__all__ = ["L2", "MAE", "RMSE", "Huber", "RelativeL2", "as_residual_loss"]


@frozen(kw_only=True)
class L2(ResidualLoss):
    """Mean over the channels of (left - right)^2."""

    def values(self, left: Tensor, right: Tensor) -> Tensor:
        """Losses, shape (k,)."""
        return (left - right).square().mean(1) / self._norm(left.detach())

    def product(self, left: Tensor, first: Tensor, second: Tensor, reference: Tensor) -> Tensor:
        """Mean over the channels of the product of two residuals."""
        return ((left - first) * (left - second)).mean(1) / self._norm(reference)

    def _norm(self, reference: Tensor) -> Tensor:
        return torch.ones_like(reference[:, 0])


@frozen(kw_only=True)
class RelativeL2(L2):
    r"""The papers' :math:`\|L - R\|^2 / (\|\mathrm{sg}(L)\|^2 + \epsilon)`: dark places count as much as bright ones.

    Parameters
    ----------
    epsilon : float, default 0.01
        Keeps black points from counting without limit, > 0; norms are means over the channels.
    """

    epsilon: float = field(default=1e-2, validator=real(above=0))

    def _norm(self, reference: Tensor) -> Tensor:
        return reference.square().mean(1) + self.epsilon


@frozen(kw_only=True)
class RMSE(ResidualLoss):
    """Root of the mean over points and channels of (left - right)^2."""

    quadratic: ClassVar[bool] = False

    def values(self, left: Tensor, right: Tensor) -> Tensor:
        """Squares, shape (k,)."""
        return (left - right).square().mean(1)

    def reduce(self, values: Tensor) -> Tensor:
        """Root of the mean; the derivative at 0 is taken as 0."""
        return torch.sqrt(values.mean() + 1e-12)


@frozen(kw_only=True)
class Huber(ResidualLoss):
    """Quadratic up to `delta`, linear beyond: fireflies pull with a bounded force.

    Parameters
    ----------
    delta : float, default 1
        Where it turns, > 0, in units of radiance.
    """

    quadratic: ClassVar[bool] = False

    delta: float = field(default=1.0, validator=real(above=0))

    def values(self, left: Tensor, right: Tensor) -> Tensor:
        """Losses, shape (k,)."""
        return functional.huber_loss(left, right, reduction="none", delta=self.delta).mean(1)


@frozen(kw_only=True)
class MAE(ResidualLoss):
    """Mean over the channels of abs(left - right); its minimum is the median of a noisy right side, not the mean."""

    quadratic: ClassVar[bool] = False

    def values(self, left: Tensor, right: Tensor) -> Tensor:
        """Losses, shape (k,)."""
        return (left - right).abs().mean(1)


_NAMES: dict[str, type[ResidualLoss]] = {"relative-l2": RelativeL2, "l2": L2, "rmse": RMSE, "huber": Huber, "mae": MAE}


def as_residual_loss(value: ResidualLoss | str) -> ResidualLoss:
    """Return the loss that `value` is or names."""
    if isinstance(value, ResidualLoss):
        return value
    if isinstance(value, str):
        return by_name(_NAMES, value, "loss")()
    raise TypeError(f"'loss' must be one of {', '.join(_NAMES)}: {value!r}")
