"""Loss at several resolutions."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import field, frozen

from invopt.core.validators import integer
from invopt.rendering.losses.loss import Loss

__all__ = ["MultiScaleMSE"]


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


def _half(image: Any) -> Any:
    """Mean of each block of two by two pixels; an odd last row or column is left out."""
    height, width = (2 * (size // 2) for size in image.shape[:2])
    return 0.25 * (
        image[0:height:2, 0:width:2]
        + image[1:height:2, 0:width:2]
        + image[0:height:2, 1:width:2]
        + image[1:height:2, 1:width:2]
    )
