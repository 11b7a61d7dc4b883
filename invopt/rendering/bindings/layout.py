"""Columns of x that each binding of a scene takes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from invopt.core.formatting import shown
from invopt.core.parameters.grid import Grid
from invopt.core.quadratic.linear_rows import LinearRows
from invopt.exceptions import SceneError, suggest
from invopt.rendering.bindings.binding import Binding, Own, as_values
from invopt.rendering.parameter import Parameter

__all__ = ["Layout", "check_claims"]

# Share by which a value of the scene may lie outside its bounds: 8 units in the last place of single precision, in
# which the scene has its values, but the bounds are in double precision.
_SINGLE_ROUNDING = 1e-6


@frozen(eq=False, slots=False)
class Layout:
    """Bindings of a scene and their columns of x.

    Parameters
    ----------
    bindings : tuple of Binding
        In the order of their columns.
    own : callable
        ``own(binding) -> Parameter``, the parameter as the scene has it. It may load the scene, and is called only
        if necessary.
    """

    bindings: tuple[Binding, ...]
    own: Callable[[Binding], Parameter]

    def own_of(self, binding: Binding) -> Own:
        """Function that reads the scene's own parameter of one binding."""
        return partial(self.own, binding)

    @cached_property
    def parts(self) -> tuple[tuple[str, ...], ...]:
        """Names of the columns of each binding."""
        return tuple(binding.parts(self.own_of(binding)) for binding in self.bindings)

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Columns of each binding."""
        ends = np.cumsum([0, *(len(parts) for parts in self.parts)]).tolist()
        return tuple(slice(first, last) for first, last in itertools.pairwise(ends))

    @property
    def names(self) -> tuple[str, ...]:
        """Readable name of every column."""
        return tuple(
            _name(binding, part) for binding, parts in zip(self.bindings, self.parts, strict=True) for part in parts
        )

    @property
    def grids(self) -> tuple[Grid, ...]:
        """Columns that are grids, such as the texels of each texture."""
        found = [
            (binding.grid(self.own_of(binding)), columns.start)
            for binding, columns in zip(self.bindings, self.slices, strict=True)
        ]
        return tuple(evolve(grid, indices=grid.indices + first) for grid, first in found if grid is not None)

    def prior(self) -> LinearRows | None:
        """The priors of all bindings; None if there are none."""
        found: LinearRows | None = None
        for binding, columns in zip(self.bindings, self.slices, strict=True):
            rows = binding.prior_rows(columns.stop - columns.start, self.own_of(binding)) if binding.has_prior else None
            if rows is not None:
                found = rows.placed(columns, self.slices[-1].stop).joined(found)
        return found

    def fixed(self) -> NDArray[np.bool_]:
        """Whether each column keeps its start."""
        pairs = zip(self.bindings, self.parts, strict=True)
        return np.concatenate([np.full(len(parts), binding.fixed) for binding, parts in pairs])

    def textures(self, x: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Texels of each texture at `x` by label.

        Of shape (rows, columns, numbers per texel).
        """
        found = {}
        for binding, columns in zip(self.bindings, self.slices, strict=True):
            grid = binding.grid(self.own_of(binding))
            if grid is not None:
                found[binding.label] = binding.decode(x[columns])[grid.indices]
        return found

    def joined(self, method: str) -> NDArray[np.float64]:
        """Results of a method of every binding, joined over the columns."""
        pairs = zip(self.bindings, self.parts, strict=True)
        return np.concatenate(
            [getattr(binding, method)(len(parts), self.own_of(binding)) for binding, parts in pairs], axis=-1
        )

    def initial(self) -> NDArray[np.float64]:
        """Point at which the scene is as it was loaded, inside the bounds or not."""
        return np.concatenate([binding.initial(self.own_of(binding)) for binding in self.bindings])

    def split(self, columns: NDArray[np.float64]) -> dict[str, Any]:
        """Numbers of all columns by label: a float, or an array where there are several."""
        found: dict[str, Any] = {}
        for binding, part in zip(self.bindings, self.slices, strict=True):
            found[binding.label] = float(columns[part][0]) if columns[part].size == 1 else columns[part]
        return found

    def decode(self, x: NDArray[np.float64]) -> dict[str, Any]:
        """Values in scene units by label: a float, or an array where there are several."""
        found: dict[str, Any] = {}
        for binding, columns in zip(self.bindings, self.slices, strict=True):
            value = binding.decode(np.asarray(x, dtype=np.float64)[columns])
            found[binding.label] = float(value[0]) if value.size == 1 else value
        return found

    def point(self, value: Any, what: str) -> NDArray[np.float64]:
        """Point from a vector, or from values in scene units by label.

        The default of a value that is not given is that of the scene.
        """
        if not isinstance(value, Mapping):
            return as_values(value, self.slices[-1].stop, what) if np.ndim(value) else self._refuse(value, what)
        labels = [binding.label for binding in self.bindings]
        for name in value:
            if name not in labels:
                raise SceneError(f"{what!r} names no parameter {name!r}; {suggest(str(name), labels)}")
        parts = []
        for binding, columns in zip(self.bindings, self.parts, strict=True):
            if binding.label in value:
                values = as_values(value[binding.label], len(columns), binding.label)
                encoded = binding.encode(values)
                if not np.isfinite(encoded).all():
                    raise SceneError(f"{what!r} must give {binding.label!r} a value > 0: {shown(value[binding.label])}")
                parts.append(encoded)
            else:
                parts.append(self._start(binding, columns, what))
        return np.concatenate(parts)

    def _start(self, binding: Binding, columns: tuple[str, ...], what: str) -> NDArray[np.float64]:
        """Columns at which the scene is unchanged; must be inside the bounds."""
        own = self.own_of(binding)
        start, limits = binding.initial(own), binding.limits(len(columns), own)
        if np.isneginf(start).any():
            value = float(own().value.mean())
            raise SceneError(
                f"{binding.label!r} is {value:g} in the scene, which has no logarithm: give its start in {what!r}"
            )
        if not np.isfinite(start).all():
            raise SceneError(f"{binding.label!r} is not finite in the scene: give its start in {what!r}")
        values, low, high = binding.decode(start), *(binding.decode(side) for side in limits)
        excess = np.maximum(low - values, values - high)
        outside = excess > _SINGLE_ROUNDING * np.maximum(np.abs(values), np.abs(values + excess))
        if outside.any():
            i = int(np.argmax(np.where(outside, excess, -np.inf)))
            more = f", as are {outside.sum() - 1} more of its numbers" if outside.sum() > 1 else ""
            raise SceneError(
                f"{_name(binding, columns[i])!r} is {values[i]:.6g} in the scene, outside its bounds "
                f"[{low[i]:g}, {high[i]:g}]{more}: widen 'bounds', or give the start of {binding.label!r} in {what!r}"
            )
        return start.clip(*limits)

    @staticmethod
    def _refuse(value: Any, what: str) -> NDArray[np.float64]:
        raise TypeError(f"{what!r} must be a vector or a mapping of names to values: {shown(value)}")


def _name(binding: Binding, part: str) -> str:
    return binding.label + (part if part == "" or part[0] == "[" else f".{part}")


def check_claims(bindings: Sequence[Binding]) -> None:
    """Raise if two bindings set the same parameter, or have the same label."""
    owners: dict[str, Binding] = {}
    for binding in bindings:
        for claim in binding.claims():
            if claim in owners:
                raise SceneError(f"two bindings set {claim!r}: {owners[claim]!r} and {binding!r}")
            owners[claim] = binding
    for claim, owner in owners.items():
        turned = claim.partition(" about ")[0]
        free = f"{turned} about any axis"
        if " about " in claim and claim != free and free in owners:
            raise SceneError(f"two bindings turn {turned!r}: {owners[free]!r} and {owner!r}")
    labels = [binding.label for binding in bindings]
    for label in labels:
        if labels.count(label) > 1:
            raise SceneError(f"two bindings have the name {label!r}: give one of them another 'name'")
