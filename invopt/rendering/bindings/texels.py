"""The pixels of a texture."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray
from torch import Tensor

from invopt.exceptions import SceneError
from invopt.rendering.bindings.binding import Own, ValueBinding

__all__ = ["Texels"]


@frozen(kw_only=True, eq=False)
class Texels(ValueBinding):
    """All pixels of a bitmap texture, row by row, with one or three numbers each.

    Parameters
    ----------
    shape : tuple of int, optional
        Rows, columns and numbers a texel, where they are known: the scene need then not be read for them.
    bounds : (low, high), default (0, 1)
        Range of each number.
    """

    sparse: ClassVar[bool] = True

    shape: tuple[int, int, int] | None = field(default=None)
    bounds: Any = field(default=(0.0, 1.0))

    @shape.validator
    def _check_shape(self, _: Any, value: Any) -> None:
        if value is not None and not (len(value) == 3 and all(isinstance(v, int) and v > 0 for v in value)):
            raise ValueError(f"'shape' must be (rows, columns, numbers a texel): {value!r}")

    @property
    def default_scale(self) -> float:
        """A quarter of full brightness."""
        return 0.25

    def extent(self, own: Own) -> tuple[int, ...]:
        """Rows, columns, numbers a texel."""
        if self.shape is not None:
            return self.shape
        value = own()
        if value.ndim != 3:
            raise SceneError(f"{self.target!r} is not a bitmap texture: use Color or Value")
        return value.shape

    def parts(self, own: Own) -> tuple[str, ...]:
        """Row, column and number."""
        rows, columns, depth = self.extent(own)
        ends = [""] if depth == 1 else [f",{c}" for c in ("rgb" if depth == 3 else map(str, range(depth)))]
        return tuple(f"[{i},{j}{end}]" for i in range(rows) for j in range(columns) for end in ends)

    def initial(self, own: Own) -> NDArray[np.float64]:
        """The scene's texture."""
        value = own()
        if self.shape is not None and value.shape != self.shape:
            raise SceneError(f"{self.target!r} has shape {value.shape}, not {self.shape}")
        return value.ravel()

    def values(self, x: Tensor, own: Own) -> dict[str, Tensor]:
        """The texture."""
        return {self.target: x.reshape(self.extent(own))}
