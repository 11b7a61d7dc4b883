"""Binding of all numbers of a grid or a buffer."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from torch import Tensor

from invopt.rendering.bindings.binding import Own, ValueBinding, quarter_of_brightness
from invopt.rendering.parameter import Kind

__all__ = ["Numbers"]


@frozen(kw_only=True, eq=False)
class Numbers(ValueBinding):
    """All numbers of a volume grid or of an attribute of a mesh (vertex colours).

    Parameters
    ----------
    bounds : (low, high), optional
        Range of each number; by default that of the parameter.

    Notes
    -----
    Columns are in the order in which Mitsuba has the numbers. Without finite bounds, the default scale is a quarter of
    the mean of their absolute values (0.25 if that is 0).
    """

    def default_scale(self, own: Own) -> float:
        """A quarter of the mean size of the numbers in the scene."""
        return quarter_of_brightness(own)

    def parts(self, own: Own) -> tuple[str, ...]:
        """Place of each number."""
        return tuple(f"[{','.join(map(str, place))}]" for place in np.ndindex(own().value.shape))

    def initial(self, own: Own) -> NDArray[np.float64]:
        """The numbers in the scene."""
        parameter = own()
        self.require_kind(parameter, Kind.GRID, Kind.BUFFER)
        return parameter.value.ravel().copy()

    def values(self, x: Tensor, own: Own) -> dict[str, Tensor]:
        """The numbers, in their shape."""
        return {self.target: x.reshape(own().value.shape)}
