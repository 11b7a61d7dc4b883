"""Loss of logarithms."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from invopt.core.validators import real
from invopt.rendering.losses.arrays import at_least, log
from invopt.rendering.losses.loss import Loss

__all__ = ["LogMSE"]


@frozen(kw_only=True)
class LogMSE(Loss):
    """Mean of (log(image + epsilon) - log(target + epsilon))^2.

    For pictures in which bright parts stand beside dark ones: ratios count, not differences.

    Parameters
    ----------
    epsilon : float, default 0.01
        Brightness below which differences count instead of ratios, > 0.
    """

    epsilon: float = field(default=1e-2, validator=real(above=0))

    def residuals(self, image: Any, reference: Any) -> list[Any]:
        """Differences of logarithms; a negative pixel counts as black."""
        return [log(at_least(image, 0.0) + self.epsilon) - log(at_least(reference, 0.0) + self.epsilon)]
