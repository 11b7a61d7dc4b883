"""Binding of a colour."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from torch import Tensor

from invopt.exceptions import SceneError
from invopt.rendering.bindings.binding import Own, ValueBinding, quarter_of_brightness
from invopt.rendering.parameter import Kind

__all__ = ["Color"]


@frozen(kw_only=True, eq=False)
class Color(ValueBinding):
    """Colour of a material or a light, as three linear RGB numbers.

    Parameters
    ----------
    bounds : (low, high), optional
        Range of each number; by default [0, 1] for a reflectance, and no upper bound for emitted light.

    Notes
    -----
    Use `Texels` for the pixels of a texture, and `Value` for brightness alone. Without an upper bound, the default
    scale is a quarter of the mean of the three numbers in the scene (0.25 if that is 0): the typical change of a light
    is proportional to its brightness.

    Examples
    --------
    >>> Color("wall.bsdf.reflectance").label
    'wall.bsdf.reflectance'
    """

    shades: ClassVar[bool] = True
    copies: ClassVar[bool] = True

    @property
    def columns_known(self) -> int:
        """Three columns."""
        return 3

    def default_scale(self, own: Own) -> float:
        """A quarter of the brightness in the scene."""
        return quarter_of_brightness(own)

    def parts(self, own: Own) -> tuple[str, ...]:
        """Red, green, blue."""
        return ("r", "g", "b")

    def initial(self, own: Own) -> NDArray[np.float64]:
        """The colour in the scene."""
        parameter = own()
        if parameter.kind is Kind.NUMBER:
            grey = ", ".join([f"{parameter.value.item():g}"] * 3)
            name = self.target.removesuffix(".value").rpartition(".")[2]
            raise SceneError(
                f"{self.target!r} is one number in the scene, not a colour: use Value, or, where a colour is allowed, "
                f"write it as {{{name!r}: {{'type': 'rgb', 'value': [{grey}]}}}}, in a file "
                f"<rgb name={name!r} value='{grey}'/>"
            )
        self.require_kind(parameter, Kind.COLOR)
        return parameter.value.ravel()

    def values(self, x: Tensor, own: Own) -> dict[str, Tensor]:
        """The colour."""
        return {self.target: x}
