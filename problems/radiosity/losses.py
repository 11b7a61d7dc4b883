"""Losses of the two sides of the rendering equation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from attrs import field, frozen
from torch import Tensor
from torch.nn import functional

from invopt.plugin import ResidualLoss, by_name, real, shown, with_fields

__all__ = ["EPSILON", "L2", "MAE", "RMSE", "Huber", "RelativeL2", "SymmetricL2", "Tweedie", "as_residual_loss"]


# Default epsilon of relative losses and errors. The papers (equation 2) give no value; this one limits the weight of
# radiances below 0.1, its square root.
EPSILON = 1e-2
# Keeps the derivative of the root finite at 0; far below the squares of radiances.
_SMALLEST_SQUARE = 1e-12


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
    r"""The papers' relative loss, in which dark places count as much as bright ones.

    It is :math:`\|L - R\|^2 / (\|\mathrm{sg}(L)\|^2 + \epsilon)`.

    Parameters
    ----------
    epsilon : float, default 0.01
        Limits the weight of black points, > 0; norms are means over the channels.
    """

    epsilon: float = field(default=EPSILON, validator=real(above=0))

    def _norm(self, reference: Tensor) -> Tensor:
        return reference.square().mean(1) + self.epsilon


@frozen(kw_only=True)
class SymmetricL2(ResidualLoss):
    r"""A relative loss in which too bright and too dark weigh alike.

    It is :math:`\|L - R\|^2 / (l ((1 - s) l + s r) + \epsilon)`. The norms :math:`l = \|\mathrm{sg}(L)\|` and
    :math:`r = \|\mathrm{sg}(R)\|` are not differentiated. If the field is an exponential, :math:`L = e^y`, and s = 1/2,
    the derivative with respect to y is :math:`4 \tanh(t / 2)` with :math:`t = \ln(L / R)`. Its absolute value is at
    most 4, and it is the same for too bright and too dark fields. With the papers' relative loss, s = 0, it is
    :math:`2 (1 - e^{-t})`: at most 2 where the field is too bright, unbounded where it is too dark. A network that
    cannot fit everything then becomes too bright. With s = 1/2 it approaches a geometric mean, which is too dark.

    With the semi-gradient, one half of the directions gives the residual and the other half the norm, and vice versa,
    so that the noise of the norm does not bias the fixed point. The last of an odd number of directions is not used.

    Parameters
    ----------
    share : float, default 0.5
        Share s of the right side in the norm, in (0, 1].
    epsilon : float, default 0.01
        Limits the weight of black points, > 0; norms are means over the channels.
    """

    quadratic: ClassVar[bool] = False
    crossed: ClassVar[bool] = True

    share: float = field(default=0.5, validator=real(above=0, maximum=1))
    epsilon: float = field(default=EPSILON, validator=real(above=0))

    def values(self, left: Tensor, right: Tensor) -> Tensor:
        """Losses, shape (k,), with the norm of the same right side."""
        return self._weighed(left, right, right)

    def cross(self, left: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """Mean of the losses of two estimates, each with the norm of the other."""
        return (self._weighed(left, first, second) + self._weighed(left, second, first)) / 2

    def _weighed(self, left: Tensor, right: Tensor, other: Tensor) -> Tensor:
        own, theirs = (side.detach().square().mean(1).sqrt() for side in (left, other))
        norm = own * ((1 - self.share) * own + self.share * theirs) + self.epsilon
        return (left - right).square().mean(1) / norm


@frozen(kw_only=True)
class Tweedie(L2):
    r"""Square over a power of the field, between an absolute and a relative loss.

    It is :math:`\|L - R\|^2 / (\|\mathrm{sg}(L)\|^2 + \epsilon^2)^{p/2}`. Its derivative is that of the deviance of
    Tweedie's distributions, whose variance is the p-th power of the mean [1]_. If the field is an exponential,
    :math:`L = e^y`, the derivative with respect to y is :math:`2 (L - R) L^{1-p}`: with p = 1 the sum of the errors
    vanishes; with p = 2, the papers' relative loss, it has no bound where the field is too dark.

    Parameters
    ----------
    p : float, default 1.5
        Power of the field's norm, in [0, 2].
    epsilon : float, default 0.01
        Limits the weight of black points, > 0; norms are means over the channels.

    References
    ----------
    .. [1] Jorgensen, "Exponential Dispersion Models", Journal of the Royal Statistical Society B 49, 1987.
    """

    p: float = field(default=1.5, validator=real(minimum=0, maximum=2))
    epsilon: float = field(default=EPSILON, validator=real(above=0))

    def _norm(self, reference: Tensor) -> Tensor:
        return (reference.square().mean(1) + self.epsilon**2).pow(self.p / 2)


@frozen(kw_only=True)
class RMSE(ResidualLoss):
    """Root of the mean over points and channels of (left - right)^2."""

    quadratic: ClassVar[bool] = False

    def values(self, left: Tensor, right: Tensor) -> Tensor:
        """Squares, shape (k,)."""
        return (left - right).square().mean(1)

    def reduce(self, values: Tensor) -> Tensor:
        """Root of the mean."""
        return torch.sqrt(values.mean() + _SMALLEST_SQUARE)


@frozen(kw_only=True)
class Huber(ResidualLoss):
    """Huber loss: quadratic up to `delta`, linear beyond.

    The derivative of outliers is therefore bounded.

    Parameters
    ----------
    delta : float, default 1
        Largest residual for which the loss is quadratic, > 0, in units of radiance.
    """

    quadratic: ClassVar[bool] = False

    delta: float = field(default=1.0, validator=real(above=0))

    def values(self, left: Tensor, right: Tensor) -> Tensor:
        """Losses, shape (k,)."""
        return functional.huber_loss(left, right, reduction="none", delta=self.delta).mean(1)


@frozen(kw_only=True)
class MAE(ResidualLoss):
    """Mean over the channels of abs(left - right).

    Its minimum is the median of a noisy right side, not the mean.
    """

    quadratic: ClassVar[bool] = False

    def values(self, left: Tensor, right: Tensor) -> Tensor:
        """Losses, shape (k,)."""
        return (left - right).abs().mean(1)


_NAMES: dict[str, type[ResidualLoss]] = {
    "tweedie": Tweedie,
    "relative-l2": RelativeL2,
    "symmetric-l2": SymmetricL2,
    "l2": L2,
    "rmse": RMSE,
    "huber": Huber,
    "mae": MAE,
}


def as_residual_loss(value: Any) -> ResidualLoss:
    """Return a loss, or make it from its name or from ``{name: {field: value}}``."""
    if isinstance(value, ResidualLoss):
        return value
    if isinstance(value, Mapping) and len(value) == 1:
        ((name, options),) = value.items()
        if isinstance(options, Mapping):
            return with_fields(by_name(_NAMES, str(name), "loss")(), options)
    if isinstance(value, str):
        return by_name(_NAMES, value, "loss")()
    raise TypeError(f"'loss' must be one of {', '.join(_NAMES)}: {shown(value)}")
