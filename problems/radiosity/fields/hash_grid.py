"""Multi-resolution hash encoding of positions, in Dr.Jit and in torch."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import torch
from attrs import field, frozen
from torch import Tensor

from invopt.plugin import integer, real, require
from invopt.rendering.backend import Backend, active
from invopt.rendering.recorded import owned

__all__ = ["HashGrid"]

# Largest number of cells on a side: single precision distinguishes no more.
_FINEST = 2**22
# Largest exponent in the check of the finest grid, so that the power does not overflow.
_LARGEST_EXPONENT = 64
# Factors of the spatial hash (Müller et al. 2022, equation 4).
_PRIMES = (1, 2654435761, 805459861)


@frozen(kw_only=True)
class HashGrid:
    """Features interpolated in grids of increasing resolution [1]_.

    The vertices of grids that are larger than their table are hashed into it.

    Parameters
    ----------
    levels : int, default 14
        Number of grids; this and the other defaults are those of the semi-gradient paper.
    features : int, default 2
        Numbers at a vertex; even.
    base : int, default 2
        Vertices on a side of the coarsest grid.
    growth : float, default 2
        Ratio of successive resolutions, > 1.
    log2_size : int, default 18
        Base-2 logarithm of the largest number of vertices that a level stores.

    References
    ----------
    .. [1] Müller, Evans, Schied, Keller, "Instant Neural Graphics Primitives", SIGGRAPH 2022.
    """

    levels: int = field(default=14, validator=integer(1))
    features: int = field(default=2, validator=integer(2))
    base: int = field(default=2, validator=integer(2))
    growth: float = field(default=2.0, validator=real(above=1))
    log2_size: int = field(default=18, validator=integer(4, 24))

    def __attrs_post_init__(self) -> None:
        if self.features % 2:
            raise ValueError(f"'features' must be even: {self.features}")
        # The first is required by Dr.Jit's grid.
        require("features", 2**self.log2_size % self.features == 0, "a power of 2, up to 2^log2_size", self.features)
        finest = self.base * self.growth ** min(self.levels - 1, _LARGEST_EXPONENT)
        require("levels", finest <= _FINEST, f"few enough for a finest grid of {_FINEST} cells a side", self.levels)

    @property
    def width(self) -> int:
        """Number of features of a position."""
        return self.levels * self.features

    @property
    def size(self) -> int:
        """Number of entries of the table."""
        return self.features * sum(points for _, _, points in self._plan())

    def lookup(self, points: Tensor, table: Tensor) -> Tensor:
        """Look up features in torch.

        Parameters
        ----------
        points : Tensor, shape (3, k)
            Positions in [0, 1]^3.
        table : Tensor, shape (size,)
            Entries of all levels.

        Returns
        -------
        Tensor, shape (width, k)
        """
        rows = table.view(-1, self.features)
        parts, offset = [], 0
        for scale, resolution, count in self._plan():
            index, weight = self._corners(points, scale, resolution, count)
            values = rows[(index + offset).reshape(-1)].view(*index.shape, self.features)
            parts.append((values * weight.unsqueeze(-1)).sum(0).t())
            offset += count
        return torch.cat(parts)

    def lookup_drjit(self, points: Tensor, table: Tensor) -> Tensor:
        """Look up features in Dr.Jit; a compiled backend must be active."""
        found: Tensor = _DrJitLookup.apply(points, table, self)  # type: ignore[no-untyped-call]
        return found

    def encoding(self) -> Any:
        """Return the encoding as an object of Dr.Jit."""
        import drjit.nn
        import mitsuba as mi

        return drjit.nn.HashGridEncoding(
            mi.Float,
            3,
            n_levels=self.levels,
            n_features_per_level=self.features,
            hashmap_size=2**self.log2_size,
            base_resolution=self.base,
            per_level_scale=self.growth,
        )

    def _plan(self) -> list[tuple[float, int, int]]:
        """Return each level's scale from [0, 1], vertices on a side, and stored.

        The layout is that of Dr.Jit.
        """
        plan = []
        for level in range(self.levels):
            scale = 2 ** (level * math.log2(self.growth)) * self.base - 1
            resolution = math.ceil(scale) + 1
            count = -(-(resolution**3) // self.features) * self.features
            plan.append((scale, resolution, min(count, 2**self.log2_size)))
        return plan

    @staticmethod
    def _corners(points: Tensor, scale: float, resolution: int, count: int) -> tuple[Tensor, Tensor]:
        """Return indices and weights of the 8 vertices around positions, (8, k)."""
        with torch.no_grad():
            place = points * scale + 0.5
            low = place.floor()
            fraction = place - low
            corner = torch.tensor([[i >> d & 1 for i in range(8)] for d in range(3)], device=points.device)
            key = low.long().unsqueeze(1) + corner.unsqueeze(-1)
            weight = torch.where(corner.unsqueeze(-1) == 1, fraction.unsqueeze(1), 1 - fraction.unsqueeze(1)).prod(0)
            if resolution**3 <= count:
                index = key[0] + resolution * (key[1] + resolution * key[2])
            else:
                index = key[0]
                for axis in (1, 2):
                    # As a product of unsigned 32-bit integers.
                    index = index ^ (key[axis] * _PRIMES[axis] & 0xFFFFFFFF)
            return index % count, weight


class _DrJitLookup(torch.autograd.Function):
    """Lookup, with its derivative with respect to the table.

    The backward pass computes the lookup again, so that no memory is held in between.
    """

    @staticmethod
    def forward(ctx: Any, points: Tensor, table: Tensor, grid: HashGrid) -> Tensor:
        ctx.grid = grid
        ctx.save_for_backward(points, table)
        lookup, _ = _programs(grid, active())
        return _as_tensor(lookup(_as_drjit(points), _as_drjit(table[None])[0]))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, None]:
        points, table = ctx.saved_tensors
        _, derivative = _programs(ctx.grid, active())
        found = derivative(_as_drjit(points), _as_drjit(table[None])[0], _as_drjit(gradients[0]))
        return None, _as_tensor(found), None


@cache
def _programs(grid: HashGrid, _backend: Backend) -> tuple[Any, Any]:
    """Return lookup in a grid and its derivative, each traced once.

    Tracing takes longer than the lookup of some thousands of positions.
    """
    import drjit as dr

    # Made outside the recorded functions: its initial table has random numbers, which cannot be recorded.
    encoding = grid.encoding()

    def lookup(points: list[Any], table: Any) -> Any:
        encoding.data = table
        return encoding(points)

    def derivative(points: list[Any], table: Any, gradients: list[Any]) -> Any:
        dr.enable_grad(table)
        found = lookup(points, table)
        for value, gradient in zip(found, gradients, strict=True):
            dr.set_grad(value, gradient)
        dr.enqueue(dr.ADMode.Backward, found)
        dr.traverse(dr.ADMode.Backward)
        return dr.grad(table)

    return dr.freeze(lookup), dr.freeze(derivative)


def _as_drjit(rows: Tensor) -> list[Any]:
    """Copy the rows of a tensor to Dr.Jit's memory, for a recorded program."""
    import mitsuba as mi

    return [owned(mi.Float(row)) for row in rows.detach().contiguous()]


def _as_tensor(value: Any) -> Tensor:
    """Evaluate a Dr.Jit array and return it as a tensor on the same memory."""
    import drjit as dr

    dr.eval(value)
    dr.sync_thread()
    tensor: Tensor = value.torch()
    return tensor
