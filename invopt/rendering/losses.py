"""Losses, which compare two pictures.

The same code serves numpy and Dr.Jit with its derivatives.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from invopt.core.formatting import shown
from invopt.core.validators import by_name, has_masked, integer, real

__all__ = ["L1", "MSE", "CallableLoss", "Loss", "MultiScaleMSE", "RelativeMSE", "as_loss"]


@frozen(kw_only=True)
class Loss(abc.ABC):
    """Mean of the squares, or absolute values, of weighted differences of pictures.

    Attributes
    ----------
    squared : bool
        Whether the loss is the mean square of its residuals, as Gauss-Newton needs.
    differentiable : bool
        Whether the renderer's derivative can pass through the loss.
    """

    squared: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True

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
        parts = [power(part.array) for part in self.residuals(image, reference)]
        return sum(dr.sum(part) for part in parts), sum(len(part) for part in parts)


@frozen(kw_only=True)
class MSE(Loss):
    """Mean of (image - target)^2."""

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

    epsilon: float = field(default=1e-2, validator=real(above=0))

    def residuals(self, image: Any, reference: Any) -> list[Any]:
        """Differences divided by the root of target^2 + epsilon."""
        return [(image - reference) / (reference * reference + self.epsilon) ** 0.5]


@frozen(kw_only=True)
class L1(Loss):
    """Mean of abs(image - target).

    Outliers such as fireflies have less weight than in a mean square.
    """

    squared: ClassVar[bool] = False

    def residuals(self, image: Any, reference: Any) -> list[Any]:
        """Differences, of which the loss takes the absolute value."""
        return [image - reference]


@frozen(kw_only=True)
class MultiScaleMSE(Loss):
    """Mean of the MSE at several resolutions, each half of the one before.

    An object that does not overlap with its image in the target at full resolution may do so at a low one.

    Parameters
    ----------
    levels : int, default 4
        Number of resolutions, at least 1. A picture smaller than two pixels is not reduced any more.
    """

    levels: int = field(default=4, validator=integer(1))

    def residuals(self, image: Any, reference: Any) -> list[Any]:
        """Differences at each resolution, weighted so that all resolutions count alike."""
        parts = [image - reference]
        while len(parts) < self.levels and min(parts[-1].shape[:2]) >= 2:
            parts.append(_half(parts[-1]))
        sizes = [int(np.prod(part.shape)) for part in parts]
        weights = [(sum(sizes) / (len(sizes) * size)) ** 0.5 for size in sizes]
        return [part * weight for part, weight in zip(parts, weights, strict=True)]

    def residual_shapes(self, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Shapes at each resolution."""
        shapes = [shape]
        while len(shapes) < self.levels and min(shapes[-1][:2]) >= 2:
            shapes.append((shapes[-1][0] // 2, shapes[-1][1] // 2, *shapes[-1][2:]))
        return shapes


@frozen(kw_only=True)
class CallableLoss(Loss):
    """A loss computed by a Python callable.

    Parameters
    ----------
    function : callable
        ``function(image, target) -> float`` of two linear float32 arrays of shape (height, width, 3), or
        (height, width, 1) if the film is of luminance.
    """

    squared: ClassVar[bool] = False
    differentiable: ClassVar[bool] = False

    function: Callable[[NDArray[Any], NDArray[Any]], float]

    def residuals(self, image: Any, reference: Any) -> list[Any]:
        """Raise TypeError: only the value is known."""
        raise TypeError("a loss that is a Python callable has no residuals: use one of the losses by name")

    def value(self, image: NDArray[Any], reference: NDArray[Any]) -> float:
        """Return what the callable returns."""
        # Read-only: a function that wrote into the target would change the problem.
        kept = np.asarray(reference).view()
        kept.flags.writeable = False
        found = self.function(image, kept)
        if has_masked(found) or np.ndim(found) != 0 or np.asarray(found).dtype.kind not in "iuf":
            raise TypeError(f"'loss' must return one real number: {shown(found)}")
        return float(found)


def _half(image: Any) -> Any:
    """Mean of each block of two by two pixels; an odd last row or column is left out."""
    height, width = (2 * (size // 2) for size in image.shape[:2])
    return 0.25 * (
        image[0:height:2, 0:width:2]
        + image[1:height:2, 0:width:2]
        + image[0:height:2, 1:width:2]
        + image[1:height:2, 1:width:2]
    )


_NAMES: dict[str, type[Loss]] = {
    "mse": MSE,
    "relative-mse": RelativeMSE,
    "l1": L1,
    "multi-scale-mse": MultiScaleMSE,
}


def as_loss(value: Any) -> Loss:
    """Return the loss that `value` is, names or computes.

    Names are "mse", "relative-mse", "l1" and "multi-scale-mse".
    """
    if isinstance(value, Loss):
        return value
    if isinstance(value, str):
        return by_name(_NAMES, value, "loss")()
    if callable(value) and not isinstance(value, type):
        return CallableLoss(function=value)
    raise TypeError(f"'loss' must be a name, a Loss or a callable loss(image, target): {shown(value)}")
