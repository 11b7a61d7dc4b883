"""Binding of the pixels of a texture."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.validators import as_integer, require
from invopt.exceptions import SceneError
from invopt.rendering.bindings.binding import Own, ValueBinding, quarter_of_brightness
from invopt.rendering.parameter import Kind

__all__ = ["Texels"]


def _as_shape(value: Any) -> tuple[int, int, int] | None:
    if value is None:
        return None
    try:
        rows, columns, depth = (as_integer("shape", number) for number in value)
    except (TypeError, ValueError):
        rows = columns = depth = 0
    require("shape", min(rows, columns, depth) > 0, "(rows, columns, numbers per texel), integers > 0", value)
    return rows, columns, depth


@frozen(kw_only=True, eq=False)
class Texels(ValueBinding):
    """All pixels of a bitmap texture, row by row, one or three numbers each.

    Parameters
    ----------
    shape : tuple of int, optional
        Rows, columns and numbers per texel. If given, the scene is not read for them.
    bounds : (low, high), optional
        Range of each number; by default [0, 1] for a reflectance, and no upper bound for emitted light.

    Notes
    -----
    Without an upper bound, the default scale is a quarter of the mean of the texels in the scene (0.25 if that is 0).
    """

    sparse: ClassVar[bool] = True

    shape: tuple[int, int, int] | None = field(default=None, converter=_as_shape)

    @property
    def columns_known(self) -> int | None:
        """Number of columns if `shape` is given; None otherwise."""
        return None if self.shape is None else math.prod(self.shape)

    def default_scale(self, own: Own) -> float:
        """A quarter of the brightness in the scene."""
        return quarter_of_brightness(own)

    def extent(self, own: Own) -> tuple[int, ...]:
        """Rows, columns, numbers per texel."""
        if self.shape is not None:
            return self.shape
        parameter = own()
        self.require_kind(parameter, Kind.TEXELS)
        return parameter.value.shape

    def parts(self, own: Own) -> tuple[str, ...]:
        """Row, column and channel of each number."""
        rows, columns, depth = self.extent(own)
        ends = [""] if depth == 1 else [f",{c}" for c in ("rgb" if depth == 3 else map(str, range(depth)))]
        return tuple(f"[{i},{j}{end}]" for i in range(rows) for j in range(columns) for end in ends)

    def initial(self, own: Own) -> NDArray[np.float64]:
        """The texture in the scene."""
        parameter = own()
        self.require_kind(parameter, Kind.TEXELS)
        if self.shape is not None and parameter.value.shape != self.shape:
            raise SceneError(f"{self.target!r} has shape {parameter.value.shape}, not {self.shape}")
        return parameter.value.ravel()

    def values(self, x: Tensor, own: Own) -> dict[str, Tensor]:
        """The texture, in its shape."""
        return {self.target: x.reshape(self.extent(own))}
