"""A colour."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from torch import Tensor

from invopt.exceptions import SceneError
from invopt.rendering.bindings.binding import Own, ValueBinding
from invopt.rendering.parameter import Kind

__all__ = ["Color"]


@frozen(kw_only=True, eq=False)
class Color(ValueBinding):
    """A colour of a material or of a light, as three linear RGB numbers.

    Parameters
    ----------
    bounds : (low, high), optional
        Range of each number; by default [0, 1] for a reflectance, and no upper bound for what a light emits.

    Notes
    -----
    For pixels of a texture there is `Texels`, for brightness alone `Value`. Without an upper bound the default scale is
    a quarter of the mean of the scene's own three numbers (0.25 if that is 0): how much a light may change is told by
    how bright it is.

    Examples
    --------
    >>> Color("wall.bsdf.reflectance").label
    'wall.bsdf.reflectance'
    """

    @property
    def columns_known(self) -> int:
        """Three."""
        return 3

    def default_scale(self, own: Own) -> float:
        """A quarter of the scene's own brightness."""
        return 0.25 * (own().size or 1.0)

    def parts(self, own: Own) -> tuple[str, ...]:
        """Red, green, blue."""
        return ("r", "g", "b")

    def initial(self, own: Own) -> NDArray[np.float64]:
        """The scene's colour."""
        parameter = own()
        if parameter.kind is Kind.NUMBER:
            grey = ", ".join([f"{parameter.value.item():g}"] * 3)
            name = self.target.removesuffix(".value").rpartition(".")[2]
            raise SceneError(
                f"{self.target!r} is one number in the scene, not a colour: use Value, or, where a colour may stand, "
                f"write it as {{{name!r}: {{'type': 'rgb', 'value': [{grey}]}}}}, in a file "
                f"<rgb name={name!r} value='{grey}'/>"
            )
        self.require_kind(parameter, Kind.COLOR)
        return parameter.value.ravel()

    def values(self, x: Tensor, own: Own) -> dict[str, Tensor]:
        """The colour."""
        return {self.target: x}
