"""FullGradient: the gradient of Neural Radiosity, through both sides."""

from __future__ import annotations

from attrs import frozen
from torch import Tensor

from invopt.plugin import Sides

from .residual_estimator import ResidualEstimator

__all__ = ["FullGradient"]


@frozen(kw_only=True)
class FullGradient(ResidualEstimator):
    r"""Gradient of the residual through both sides, as in Neural Radiosity; biased.

    It is the derivative of :math:`\|L - \langle R \rangle\|^2` [1]_ [2]_. The expectation of the loss contains the
    variance of :math:`\langle R \rangle` divided by the number of directions. Networks reduce that variance by becoming
    darker (eq. 6 and appendix B of [2]_).

    Notes
    -----
    Inside a diffuse sphere of emission E and albedo :math:`\rho`, with M uniform directions, its fixed point for a
    constant reflected radiance c is :math:`E(a\rho - v) / (a^2 + v)`, :math:`a = 1 - \rho`,
    :math:`v = \rho^2 / (3M)`; the correct value is :math:`E\rho / a`.

    References
    ----------
    .. [1] Hadadan, Chen, Zwicker, "Neural Radiosity", SIGGRAPH Asia 2021.
    .. [2] Cho, Cho, "Fast and Accurate Neural Rendering Using Semi-Gradients", 2024.

    See Also
    --------
    SemiGradient : ignores the derivative of the right side; its fixed point is correct.
    """

    def losses(self, sides: Sides) -> Tensor:
        """Loss of the mean over the directions."""
        return sides.loss.values(sides.left, sides.right.mean(1))
