"""Loss of the differences between neighbouring pixels."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from invopt.rendering.losses.loss import Loss

__all__ = ["GradientMSE"]


@frozen(kw_only=True)
class GradientMSE(Loss):
    """Mean square of the differences between the gradients of two pictures.

    Edges count, slow changes of brightness hardly do: for poses under light that the scene has not quite right.
    Brightness itself is not compared.
    """

    def residuals(self, image: Any, reference: Any) -> list[Any]:
        """Differences of the steps downwards and across."""
        d = image - reference
        height, width = (int(size) for size in d.shape[:2])
        parts = [d[1:height] - d[0 : height - 1], d[:, 1:width] - d[:, 0 : width - 1]]
        return [part for part, size in zip(parts, (height, width), strict=True) if size > 1] or [0.0 * d]

    def residual_shapes(self, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Shapes of both pictures of steps."""
        height, width, *rest = shape
        shapes = [(height - 1, width, *rest), (height, width - 1, *rest)]
        return [found for found in shapes if min(found[:2]) > 0] or [shape]
