"""Comparisons of all pictures of a scene with their targets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from invopt.core.answers.shading import Shading
from invopt.rendering.losses import Loss
from invopt.rendering.photographs.comparison import Comparison
from invopt.rendering.photographs.target import Target
from invopt.rendering.values import renderer

__all__ = ["Comparisons"]


class Comparisons:
    """Weighted mean of the losses of several pictures.

    Parameters
    ----------
    loss : Loss
        The loss of each.
    targets : sequence of Target
        One for each picture. They count by their weights, whatever their size.
    on_device : bool
        Whether renders are tensors of Dr.Jit.
    """

    def __init__(self, loss: Loss, targets: Sequence[Target], *, on_device: bool) -> None:
        self._each = [Comparison(loss, target, on_device=on_device) for target in targets]
        total = sum(target.weight for target in targets)
        self._weights = [target.weight / total for target in targets]
        self._on_device = on_device and loss.differentiable

    def __iter__(self) -> Any:
        return iter(self._each)

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the pictures that the residuals consist of."""
        return tuple(shape for each in self._each for shape in each.shapes)

    @property
    def count(self) -> int | None:
        """Number of residuals that are compared; None if these are all.

        Where the loss has residuals of another shape than the picture, it is in proportion.
        """
        shares = [each.share for each in self._each]
        if min(shares) == 1.0:
            return None
        sizes = [sum(math.prod(shape) for shape in each.shapes) for each in self._each]
        return max(round(sum(size * share for size, share in zip(sizes, shares, strict=True))), 1)

    @property
    def size(self) -> int:
        """Number of residuals."""
        return sum(math.prod(shape) for shape in self.shapes)

    def residuals(self, images: Sequence[Any]) -> NDArray[np.float64]:
        """Residuals whose mean square is the loss, shape (m,)."""
        parts = [each.residuals(image) for each, image in zip(self._each, images, strict=True)]
        count = sum(part.size for part in parts)
        return np.concatenate(
            [part * (weight * count / part.size) ** 0.5 for part, weight in zip(parts, self._weights, strict=True)]
        )

    def shading(self, images: Sequence[NDArray[np.float64]], jacobians: Sequence[csr_matrix]) -> Shading:
        """Residuals and their Jacobian, from RGB pictures and theirs, (3 pixels, n)."""
        slopes = [each.slopes(image) for each, image in zip(self._each, images, strict=True)]
        count = sum(slope.shape[0] for slope in slopes)
        rows = [
            csr_matrix((weight * count / slope.shape[0]) ** 0.5 * (slope @ jacobian))
            for slope, jacobian, weight in zip(slopes, jacobians, self._weights, strict=True)
        ]
        return Shading(self.residuals([self._as_render(image) for image in images]), vstack(rows, format="csr"))

    def value(self, images: Sequence[Any]) -> float:
        """Loss; nan if a pixel is nan."""
        if self._on_device:
            # Reduced on the device: one number is copied instead of all pixels.
            return float(self.mean(images)[0])
        each = zip(self._weights, self._each, images, strict=True)
        return float(sum(weight * one.value(np.array(image, dtype=np.float32)) for weight, one, image in each))

    def mean(self, images: Sequence[Any]) -> Any:
        """Loss as a Dr.Jit number."""
        each = zip(self._weights, self._each, images, strict=True)
        return sum(one.mean(image) * weight for weight, one, image in each)

    def _as_render(self, image: NDArray[np.float64]) -> Any:
        single = np.ascontiguousarray(image, dtype=np.float32)
        return renderer().TensorXf(single) if self._on_device else single
