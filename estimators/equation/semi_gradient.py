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
    r"""Gradient of the residual through the left side alone.

    It is the derivative of :math:`\|L - \mathrm{sg}(\langle R \rangle)\|^2`. The right side is a constant target,
    evaluated without a graph, which takes less memory and time. Light transport is a contraction, so the fixed point is
    the solution of the rendering equation (eq. 8 and appendix A of [1]_).

    References
    ----------
    .. [1] Cho, Cho, "Fast and Accurate Neural Rendering Using Semi-Gradients", 2024.

    See Also
    --------
    FullGradient : through both sides, biased.
    WeightedDualBuffer : between this and the unbiased full gradient.
    """

    differentiate_right: ClassVar[bool] = False

    def losses(self, sides: Sides) -> Tensor:
        """Loss against the mean over directions, or both halves, as constants."""
        if sides.loss.crossed:
            first, second = sides.halves()
            return sides.loss.cross(sides.left, first.detach(), second.detach())
        return sides.loss.values(sides.left, sides.right.mean(1).detach())
