"""Binding of the pixels of a texture."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import torch
from attrs import field, frozen, validators
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor

from invopt.core.parameters.grid import Grid
from invopt.core.quadratic.linear_rows import LinearRows
from invopt.core.validators import as_integer, boolean, real, require
from invopt.exceptions import SceneError
from invopt.rendering.bindings.binding import Own, ValueBinding, quarter_of_brightness
from invopt.rendering.parameter import Kind, Parameter

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
    periodic : bool, optional
        Whether the last column is beside the first one. By default so for an environment map, if the scene is read for
        the shape; else False.
    bounds : (low, high), optional
        Range of each number; by default [0, 1] for a reflectance, and no upper bound for emitted light.
    smooth : float, optional
        Standard deviation of the difference between neighbours, > 0, as a prior: a small one gives a smooth texture. As
        `prior`, it needs the ``noise_std`` of the scene.

    Notes
    -----
    Without an upper bound, the default scale is a quarter of the mean of the texels in the scene (0.25 if that is 0).

    The two columns with which Mitsuba pads an environment map repeat others: they are no unknowns, and `shape` does not
    count them.
    """

    sparse: ClassVar[bool] = True
    shades: ClassVar[bool] = True
    copies: ClassVar[bool] = True

    shape: tuple[int, int, int] | None = field(default=None, converter=_as_shape)
    periodic: bool | None = field(default=None, validator=validators.optional(boolean))
    smooth: float | None = field(default=None, validator=validators.optional(real(above=0)))

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
        return _unpadded(self._texels(own)).shape

    def grid(self, own: Own) -> Grid:
        """The texels as a grid."""
        shape = self.extent(own)
        known = self.periodic is not None or self.shape is not None
        periodic = bool(self.periodic) if known else self._texels(own).padding > 0
        return Grid(np.arange(math.prod(shape)).reshape(shape), periodic=periodic)

    @property
    def has_prior(self) -> bool:
        """Whether there is a prior of the texels or of their differences."""
        return super().has_prior or self.smooth is not None

    def prior_rows(self, size: int, own: Own) -> LinearRows | None:
        """The prior of the texels, and of the differences between neighbours."""
        rows = super().prior_rows(size, own)
        return rows if self.smooth is None else _differences(self.grid(own), size, self.smooth).joined(rows)

    def parts(self, own: Own) -> tuple[str, ...]:
        """Row, column and channel of each number."""
        rows, columns, depth = self.extent(own)
        ends = [""] if depth == 1 else [f",{c}" for c in ("rgb" if depth == 3 else map(str, range(depth)))]
        return tuple(f"[{i},{j}{end}]" for i in range(rows) for j in range(columns) for end in ends)

    def initial(self, own: Own) -> NDArray[np.float64]:
        """The texture in the scene."""
        texels = _unpadded(self._texels(own))
        if self.shape is not None and texels.shape != self.shape:
            raise SceneError(f"{self.target!r} has shape {texels.shape}, not {self.shape}")
        return texels.ravel()

    def values(self, x: Tensor, own: Own) -> dict[str, Tensor]:
        """The texture, in its shape, with the columns that repeat others."""
        texels, padding = x.reshape(self.extent(own)), own().padding
        if padding:
            texels = torch.cat([texels[:, -padding:], texels, texels[:, :padding]], 1)
        return {self.target: texels}

    def _texels(self, own: Own) -> Parameter:
        parameter = own()
        self.require_kind(parameter, Kind.TEXELS)
        return parameter


def _differences(grid: Grid, size: int, std: float) -> LinearRows:
    """Differences between neighbours, in units of their standard deviation."""
    places = grid.indices
    beside = [(places[:, :-1], places[:, 1:]), (places[:-1], places[1:])]
    if grid.periodic and places.shape[1] > 2:
        beside.append((places[:, -1:], places[:, :1]))
    first, second = (np.concatenate([pair[side].ravel() for pair in beside]) for side in (0, 1))
    count = np.arange(len(first))
    ones = np.full(len(first), 1 / std)
    shape = (len(first), size)
    return LinearRows(
        matrix=csr_matrix((ones, (count, second)), shape) - csr_matrix((ones, (count, first)), shape),
        offsets=np.zeros(len(first)),
    )


def _unpadded(parameter: Parameter) -> NDArray[np.float64]:
    """Texels without the columns that repeat others."""
    padding = parameter.padding
    return parameter.value[:, padding:-padding] if padding else parameter.value
