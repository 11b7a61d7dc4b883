"""Grid: parameters that are neighbours of each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import field, frozen
from numpy.typing import ArrayLike, NDArray

from invopt.core.validators import boolean, require

__all__ = ["Grid", "check_grids"]


def _as_indices(value: ArrayLike) -> NDArray[np.int64]:
    indices = np.array(value)
    ok = indices.dtype.kind in "iu" and indices.ndim in (2, 3) and indices.size > 0
    require("indices", ok, "integers of shape (rows, columns) or (rows, columns, channels)", value)
    require("indices", int(indices.min()) >= 0, ">= 0", int(indices.min()))
    require("indices", len(np.unique(indices)) == indices.size, "different from each other", value)
    return indices.astype(np.int64).reshape(*indices.shape, *(1,) * (3 - indices.ndim))


@frozen(eq=False)
class Grid:
    """Parameters that form a grid, such as the texels of a texture.

    Grids promise nothing. An estimator may try whether a residual depends on neighbours in a grid only.

    Parameters
    ----------
    indices : array_like of int, shape (rows, columns) or (rows, columns, channels)
        Index in x of each parameter. Channels lie at the same places.
    periodic : bool, default False
        Whether the last column is beside the first, as in a picture of all directions.

    Examples
    --------
    >>> import numpy as np
    >>> Grid(np.arange(12).reshape(3, 4)).shape
    (3, 4, 1)
    """

    indices: NDArray[np.int64] = field(converter=_as_indices)
    periodic: bool = field(default=False, validator=boolean, kw_only=True)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels."""
        rows, columns, channels = self.indices.shape
        return rows, columns, channels


def check_grids(grids: Sequence[Grid], n: int) -> None:
    """Raise if a grid has an index of no parameter, or two have one in common."""
    if not all(isinstance(grid, Grid) for grid in grids):
        raise TypeError(f"'grids' must be Grid objects: {grids!r}")
    indices = np.concatenate([np.zeros(0, dtype=np.int64), *(grid.indices.ravel() for grid in grids)])
    require("grids", int(indices.max(initial=-1)) < n, f"of indices below n = {n}", int(indices.max(initial=-1)))
    require("grids", len(np.unique(indices)) == indices.size, "without a parameter in common", grids)
