"""SemiGradient: the derivative of the left side alone."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen
from torch import Tensor

from invopt.plugin import Sides

from .residual_estimator import ResidualEstimator

__all__ = ["SemiGradient"]


@frozen(kw_only=True)
class SemiGradient(ResidualEstimator):
    r"""Derivative of :math:`\|L - \mathrm{sg}(\langle R \rangle)\|^2`: the left side moves, the right is its target.

    The right side is evaluated without a graph: less memory, less time. Light transport being a contraction, the fixed
    point is the solution of the rendering equation (eq. 8 and appendix A of [1]_).

    References
    ----------
    .. [1] Cho, Cho, "Fast and Accurate Neural Rendering Using Semi-Gradients", 2024.

    See Also
    --------
    FullGradient : through both sides, biased.
    WeightedDualBuffer : anything between this and the unbiased full gradient.
    """

    differentiate_right: ClassVar[bool] = False

    def losses(self, sides: Sides) -> Tensor:
        """Loss of the mean over the directions, taken as a constant; of its halves, where each weighs the other."""
        if sides.loss.crossed:
            first, second = sides.halves()
            return sides.loss.cross(sides.left, first.detach(), second.detach())
        return sides.loss.values(sides.left, sides.right.mean(1).detach())
