"""Base class of the losses."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

__all__ = ["Loss"]


@frozen(kw_only=True)
class Loss(abc.ABC):
    """Mean of the squares, or absolute values, of weighted differences of pictures.

    A loss of your own is a frozen attrs class with `residuals`. If these have other shapes than the picture, it has
    `residual_shapes` too. If its arithmetic is that of numpy alone, `differentiable` is False: methods that need
    residuals or values work, and `Autodiff` refuses it. The checks `invopt.testing.LOSS_CHECKS` are for it.

    Attributes
    ----------
    squared : bool
        Whether the loss is the mean square of its residuals, as Gauss-Newton needs.
    differentiable : bool
        Whether the renderer's derivative can pass through the loss. If not, `residuals` gets arrays of numpy only.

    Notes
    -----
    Pictures are linear, of shape (height, width, 3), or (height, width, 1) for luminance. Where a pixel of the render
    equals that of the target, as masked ones do, the residual must be 0 and its derivative finite.
    """

    squared: ClassVar[bool] = True
    # Whether each residual is a multiple of the difference of one number of the pictures.
    pixelwise: ClassVar[bool] = False
    differentiable: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"the loss {type(self).__name__}"

    @abc.abstractmethod
    def residuals(self, image: Any, reference: Any) -> list[Any]:
        """Weighted differences: arrays of the type and dimensions of `image`."""

    def residual_shapes(self, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Shapes of what `residuals` returns for a picture of this shape.

        Empty if the loss is no mean square.
        """
        return [shape] if self.squared else []

    def value(self, image: NDArray[Any], reference: NDArray[Any]) -> float:
        """Loss of a numpy picture."""
        parts = [np.asarray(part, dtype=np.float64).ravel() for part in self.residuals(image, reference)]
        joined = np.concatenate(parts)
        return float(np.mean(joined**2 if self.squared else np.abs(joined)))

    def total(self, image: Any, reference: Any) -> tuple[Any, int]:
        """Sum of squares, or absolute values, of a Dr.Jit picture; number of terms."""
        import drjit as dr

        power = dr.square if self.squared else dr.abs
        found = self.residuals(image, reference)
        if any(isinstance(part, np.ndarray) for part in found):
            raise TypeError(
                f"{self.name} returns residuals of numpy for a picture of Dr.Jit: use arithmetic that both share, or "
                f"set 'differentiable' to False, so that it gets arrays of numpy"
            )
        parts = [power(part.array) for part in found]
        return sum(dr.sum(part) for part in parts), sum(len(part) for part in parts)
