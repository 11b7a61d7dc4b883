"""WeightedDualBuffer: between the semi-gradient and the dual buffer."""

from __future__ import annotations

from attrs import field, frozen
from torch import Tensor

from invopt.plugin import Sides, real

from .residual_estimator import DualEstimator

__all__ = ["WeightedDualBuffer"]


@frozen(kw_only=True)
class WeightedDualBuffer(DualEstimator):
    """Gradient between those of `SemiGradient` and `DualBuffer`.

    It is the derivative of the left side plus `weight` times that of the right side (eq. 31-32 of [1]_).

    Parameters
    ----------
    weight : float, default 0.5
        Factor of the right side's derivative, >= 0: 1 is the gradient of `DualBuffer`, 0 that of `SemiGradient`.

    References
    ----------
    .. [1] Cho, Cho, "Fast and Accurate Neural Rendering Using Semi-Gradients", 2024, appendix D.
    """

    weight: float = field(default=0.5, validator=real(minimum=0))

    def losses(self, sides: Sides) -> Tensor:
        """Loss of the semi-gradient plus `weight` times that of the right side."""
        first, second = self.halves(sides)
        left, mean = sides.left.detach(), (first + second).detach() / 2
        product = sides.loss.product(left, first, second, left)
        return sides.loss.values(sides.left, mean) + self.weight * product
