"""DualBuffer: the full gradient without bias."""

from __future__ import annotations

from attrs import frozen
from torch import Tensor

from invopt.plugin import Sides

from .residual_estimator import DualEstimator

__all__ = ["DualBuffer"]


@frozen(kw_only=True)
class DualBuffer(DualEstimator):
    r"""Full gradient of the residual without bias, from two independent estimates.

    It is the derivative of :math:`(L - \langle R \rangle_X)(L - \langle R \rangle_Y)` (eq. 28 of [1]_). Unbiased for
    the full gradient, because the noises of the two estimates are independent. Each uses half of the directions. Only
    for losses that are squares.

    Notes
    -----
    It converges slowly: a constant error of a field is contracted by
    :math:`1 - 2\eta(1 - \rho)^2` per step of gradient descent; with the semi-gradient by :math:`1 - 2\eta(1 - \rho)`.

    References
    ----------
    .. [1] Cho, Cho, "Fast and Accurate Neural Rendering Using Semi-Gradients", 2024, appendix C.
    """

    def losses(self, sides: Sides) -> Tensor:
        """Product of the two residuals."""
        first, second = self.halves(sides)
        return sides.loss.product(sides.left, first, second, sides.left.detach())
