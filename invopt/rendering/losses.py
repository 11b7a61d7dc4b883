"""Losses: how two pictures are compared. Written once, for numpy and for Dr.Jit with its derivatives."""

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
    """Mean over weighted differences of two linear pictures, each to a power.

    Attributes
    ----------
    squared : bool
        Whether the loss is the mean square of its residuals, so that Gauss-Newton applies.
    differentiable : bool
        Whether the renderer's own derivative can pass through it.
    """

    squared: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True

    @abc.abstractmethod
    def residuals(self, image: Any, reference: Any) -> list[Any]:
        """Weighted differences, one or more arrays of the kind of `image`, of its height, width and channels."""

    def value(self, image: NDArray[Any], reference: NDArray[Any]) -> float:
        """Loss of a numpy picture."""
        parts = [np.asarray(part, dtype=np.float64).ravel() for part in self.residuals(image, reference)]
        joined = np.concatenate(parts)
        return float(np.mean(joined**2 if self.squared else np.abs(joined)))

    def total(self, image: Any, reference: Any) -> tuple[Any, int]:
        """Sum of powers over a Dr.Jit picture, as a Dr.Jit number, and how many terms it has."""
        import drjit as dr

        power = dr.square if self.squared else dr.abs
        parts = [power(part.array) for part in self.residuals(image, reference)]
        return sum(dr.sum(part) for part in parts), sum(len(part) for part in parts)


@frozen(kw_only=True)
class MSE(Loss):
    """Mean of (image - target)^2."""

    def residuals(self, image: Any, reference: Any) -> list[Any]:
        """Differences as they are."""
        return [image - reference]


@frozen(kw_only=True)
class RelativeMSE(Loss):
    """Mean of (image - target)^2 / (target^2 + epsilon): dark places count as much as bright ones.

    Parameters
    ----------
    epsilon : float, default 0.01
        Keeps black pixels from counting without limit, > 0.
    """

    epsilon: float = field(default=1e-2, validator=real(above=0))

    def residuals(self, image: Any, reference: Any) -> list[Any]:
        """Differences over the size of the target."""
        return [(image - reference) / (reference * reference + self.epsilon) ** 0.5]


@frozen(kw_only=True)
class L1(Loss):
    """Mean of abs(image - target): forgives outliers such as fireflies."""

    squared: ClassVar[bool] = False

    def residuals(self, image: Any, reference: Any) -> list[Any]:
        """Differences as they are; the loss takes their absolute value."""
        return [image - reference]


@frozen(kw_only=True)
class MultiScaleMSE(Loss):
    """Mean of the MSE at several resolutions, each half the one before: sees what is near but does not overlap.

    Parameters
    ----------
    levels : int, default 4
        Resolutions, at least 1; fewer where the picture gets smaller than two pixels.
    """

    levels: int = field(default=4, validator=integer(1))

    def residuals(self, image: Any, reference: Any) -> list[Any]:
        """Differences at each level, weighted so that every level counts alike."""
        parts = [image - reference]
        while len(parts) < self.levels and min(parts[-1].shape[:2]) >= 2:
            parts.append(_half(parts[-1]))
        sizes = [int(np.prod(part.shape)) for part in parts]
        weights = [(sum(sizes) / (len(sizes) * size)) ** 0.5 for size in sizes]
        return [part * weight for part, weight in zip(parts, weights, strict=True)]


@frozen(kw_only=True)
class CallableLoss(Loss):
    """A loss given as a Python callable.

    Parameters
    ----------
    function : callable
        ``function(image, target) -> float`` of two arrays of shape (height, width, 3), float32, linear; of shape
        (height, width, 1) where the film is of luminance.
    """

    squared: ClassVar[bool] = False
    differentiable: ClassVar[bool] = False

    function: Callable[[NDArray[Any], NDArray[Any]], float]

    def residuals(self, image: Any, reference: Any) -> list[Any]:
        """None: only the value is known."""
        raise TypeError("a loss that is a callable has no residuals")

    def value(self, image: NDArray[Any], reference: NDArray[Any]) -> float:
        """What the callable returns."""
        # The target is the run's own: a function that wrote into it would change the problem.
        kept = np.asarray(reference).view()
        kept.flags.writeable = False
        found = self.function(image, kept)
        if has_masked(found) or np.ndim(found) != 0 or np.asarray(found).dtype.kind not in "iuf":
            raise TypeError(f"'loss' must return one real number: {shown(found)}")
        return float(found)


def _half(image: Any) -> Any:
    """Mean of each two by two pixels; an odd last row or column is left out."""
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
    """Return the loss that `value` is, names ("mse", "relative-mse", "l1", "multi-scale-mse") or computes."""
    if isinstance(value, Loss):
        return value
    if isinstance(value, str):
        return by_name(_NAMES, value, "loss")()
    if callable(value) and not isinstance(value, type):
        return CallableLoss(function=value)
    raise TypeError(f"'loss' must be a name, a Loss or a callable loss(image, target): {shown(value)}")
