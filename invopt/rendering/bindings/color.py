"""A colour."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray
from torch import Tensor

from invopt.exceptions import SceneError
from invopt.rendering.bindings.binding import Own, ValueBinding

__all__ = ["Color"]


@frozen(kw_only=True, eq=False)
class Color(ValueBinding):
    """A colour of a material or of a light, as three linear RGB numbers.

    Parameters
    ----------
    bounds : (low, high), default (0, 1)
        Range of each number; (0, None) for a light.

    Notes
    -----
    For pixels of a texture there is `Texels`, for brightness alone `Value`. The default scale without bounds is 0.25.

    Examples
    --------
    >>> Color("wall.bsdf.reflectance").label
    'wall.bsdf.reflectance'
    """

    bounds: Any = field(default=(0.0, 1.0))

    @property
    def default_scale(self) -> float:
        """A quarter of full brightness."""
        return 0.25

    def parts(self, own: Own) -> tuple[str, ...]:
        """Red, green, blue."""
        return ("r", "g", "b")

    def initial(self, own: Own) -> NDArray[np.float64]:
        """The scene's colour."""
        value = own()
        if value.size == 1:
            grey = ", ".join([f"{value.item():g}"] * 3)
            name = self.target.removesuffix(".value").rpartition(".")[2]
            raise SceneError(
                f"{self.target!r} is one number in the scene, not a colour: use Value, or, where a colour may stand, "
                f"write it as {{{name!r}: {{'type': 'rgb', 'value': [{grey}]}}}}, in a file "
                f"<rgb name={name!r} value='{grey}'/>"
            )
        if value.size != 3:
            raise SceneError(f"{self.target!r} is not a colour but of shape {value.shape}: use Value or Texels")
        return value.ravel()

    def values(self, x: Tensor, own: Own) -> dict[str, Tensor]:
        """The colour."""
        return {self.target: x}
