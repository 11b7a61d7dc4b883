"""Losses that take each pixel by itself."""

from __future__ import annotations

from typing import Any, ClassVar

from attrs import field, frozen

from invopt.core.validators import real
from invopt.rendering.losses.loss import Loss

__all__ = ["L1", "MSE", "RelativeMSE"]


@frozen(kw_only=True)
class MSE(Loss):
    """Mean of (image - target)^2."""

    pixelwise: ClassVar[bool] = True

    def residuals(self, image: Any, reference: Any) -> list[Any]:
        """Differences."""
        return [image - reference]


@frozen(kw_only=True)
class RelativeMSE(Loss):
    """Mean of (image - target)^2 / (target^2 + epsilon).

    Dark pixels count as much as bright ones.

    Parameters
    ----------
    epsilon : float, default 0.01
        Added to the squared target, so that black pixels have finite weight, > 0.
    """

    pixelwise: ClassVar[bool] = True

    epsilon: float = field(default=1e-2, validator=real(above=0))

    def residuals(self, image: Any, reference: Any) -> list[Any]:
        """Differences divided by the root of target^2 + epsilon."""
        return [(image - reference) / (reference * reference + self.epsilon) ** 0.5]


@frozen(kw_only=True)
class L1(Loss):
    """Mean of abs(image - target).

    Outliers such as fireflies have less weight than in a mean square. `Huber` and `Cauchy` do the same and have
    residuals.
    """

    squared: ClassVar[bool] = False

    def residuals(self, image: Any, reference: Any) -> list[Any]:
        """Differences, of which the loss takes the absolute value."""
        return [image - reference]
