"""Base class of problems whose columns are those of bindings."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy.optimize import Bounds

from invopt.plugin import Capability, Grid, Problem, as_vector
from invopt.rendering.bindings import Binding
from invopt.rendering.bindings.layout import Layout

from .tables import Row, rows_of, written

__all__ = ["Columns"]


@frozen(kw_only=True, eq=False, repr=False)
class Columns(Problem):
    """Problem whose bounds, scales and names are those of its bindings."""

    @property
    @abc.abstractmethod
    def bindings(self) -> tuple[Binding, ...]:
        """The unknowns, in the order of their columns."""

    @property
    @abc.abstractmethod
    def layout(self) -> Layout:
        """The columns of x that belong to each parameter."""

    @property
    def bounds(self) -> Bounds | None:
        """Bounds of all columns; None if all are infinite."""
        low, high = self.layout.joined("limits")
        return Bounds(low, high) if np.isfinite(low).any() or np.isfinite(high).any() else None

    @property
    def x_scale(self) -> NDArray[np.float64]:
        """Scales of all columns."""
        return self.layout.joined("x_scale")

    @property
    def periods(self) -> NDArray[np.float64]:
        """Periods of all columns: full turns for rotations, otherwise inf."""
        return self.layout.joined("periods")

    @property
    def sparse(self) -> bool:  # type: ignore[override]
        """Whether all unknowns are texels."""
        return all(binding.sparse for binding in self.bindings)

    @property
    def n(self) -> int:
        """Number of columns."""
        return int(self.layout.slices[-1].stop)

    @property
    def refused(self) -> dict[str, str]:
        """Why the Jacobian has no columns of a binding that shades, by label."""
        return {}

    @property
    def shades(self) -> NDArray[np.bool_]:
        """Whether each column shades, and pictures are recorded with their Jacobian by it."""
        found = np.zeros(self.n, dtype=bool)
        if Capability.SHADING in self.provides:
            for binding, columns in zip(self.bindings, self.layout.slices, strict=True):
                found[columns] = binding.shades and binding.label not in self.refused
        return found

    @property
    def grids(self) -> tuple[Grid, ...]:
        """The texels of each texture."""
        return self.layout.grids

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self.layout.names

    def readable(self, x: NDArray[np.float64]) -> dict[str, str]:
        """Values at `x` by name, in scene units, as text."""
        return {name: f"{value:.5g}" for name, value in zip(self.names, self._flat(x), strict=True)}

    def table(self, result: Any, *, kind: str = "markdown") -> str:
        """Return the answer as a table, with error bars if the result has them.

        Parameters
        ----------
        result : OptimizeResult or array_like of shape (n,)
            The answer.
        kind : {"markdown", "json", "csv"}, default "markdown"
            Form of the table.
        """
        x = as_vector("x", getattr(result, "x", result), size=self.n)
        rows = rows_of(self.names, self._flat, result, self.bounds, self.x_scale)
        fitted = {name: value for name, value in self.parameters(x).items() if name not in self.layout.decode(x)}
        return written([*rows, *(Row(name, float(value)) for name, value in fitted.items())], kind)

    def _flat(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate([np.ravel(value) for value in self.layout.decode(x).values()])

    def starts(self, rng: np.random.Generator, k: int) -> NDArray[np.float64]:
        """`k` random starts of shape (k, n): `x0` plus Gaussian noise, inside the bounds.

        The standard deviation is half of `sigma`.
        """
        return super().starts(rng, k).clip(*self.layout.joined("limits"))
