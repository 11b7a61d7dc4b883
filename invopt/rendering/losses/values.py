"""Losses of which only the value is known."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

from attrs import frozen
from numpy.typing import NDArray

from invopt.rendering.losses.loss import Loss

__all__ = ["ValueLoss"]


@frozen(kw_only=True)
class ValueLoss(Loss):
    """A loss with a value and nothing else, for methods that need values only.

    A subclass has `value`.
    """

    squared: ClassVar[bool] = False
    differentiable: ClassVar[bool] = False

    def residuals(self, image: Any, reference: Any) -> list[Any]:
        """Raise TypeError: only the value is known."""
        raise TypeError(f"{self.name} has no residuals: use a loss that is a mean of squares, such as 'mse'")

    @abc.abstractmethod
    def value(self, image: NDArray[Any], reference: NDArray[Any]) -> float:
        """Loss of a picture of numpy, linear, of shape (height, width, 1 or 3)."""
