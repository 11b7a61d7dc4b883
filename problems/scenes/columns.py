"""Base class of problems whose columns are those of bindings."""

from __future__ import annotations

import abc

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy.optimize import Bounds

from invopt.plugin import Capability, Grid, LinearRows, Objective, PosteriorObjective, Problem
from invopt.rendering.bindings import Binding
from invopt.rendering.bindings.layout import Layout

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
    def n(self) -> int:
        """Number of columns."""
        return int(self.layout.slices[-1].stop)

    @property
    @abc.abstractmethod
    def start(self) -> NDArray[np.float64]:
        """Start of all columns, inside the bounds or not."""

    @property
    def outer_bounds(self) -> Bounds | None:
        """Bounds of all columns, those of fixed ones too; None if all are infinite."""
        low, high = self.layout.joined("limits")
        return Bounds(low, high) if np.isfinite(low).any() or np.isfinite(high).any() else None

    @property
    def bounds(self) -> Bounds | None:
        """Bounds of all columns, equal for fixed ones; None if all are infinite."""
        if not any(binding.fixed for binding in self.bindings):
            return self.outer_bounds
        (low, high), fixed, start = self.layout.joined("limits"), self.layout.fixed(), self.start
        return Bounds(np.where(fixed, start, low), np.where(fixed, start, high))

    @property
    def prior(self) -> LinearRows | None:
        """Priors of the bindings; None if there are none."""
        if not any(binding.has_prior for binding in self.bindings):
            return None
        rows = self.layout.prior()
        return None if rows is None else rows.with_periods(self.periods)

    def with_prior(self, objective: Objective) -> Objective:
        """Return an open objective with the priors of the bindings."""
        prior = self.prior
        return objective if prior is None else PosteriorObjective(objective, prior, self.noise_std)

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
    def refused(self) -> dict[str, str]:
        """Why the Jacobian has no columns of a binding that shades, by label."""
        return {}

    @property
    def shades(self) -> NDArray[np.bool_]:
        """Whether each column shades, and pictures are recorded with their Jacobian by it."""
        found = np.zeros(self.n, dtype=bool)
        # A prior's rows have no recorded Jacobian.
        if Capability.SHADING in self.provides and self.prior is None:
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

    def flat(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of all columns in scene units, shape (n,)."""
        return np.concatenate([np.ravel(value) for value in self.layout.decode(x).values()])

    def spread(self, x: NDArray[np.float64], errors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standard errors in scene units: half of the difference between both ends."""
        with np.errstate(invalid="ignore", over="ignore"):
            found: NDArray[np.float64] = np.abs(self.flat(x + errors) - self.flat(x - errors)) / 2
        return np.where(np.isfinite(errors), found, np.inf)

    def readable(self, x: NDArray[np.float64]) -> dict[str, str]:
        """Values at `x` by name, in scene units, as text."""
        return {name: f"{value:.5g}" for name, value in zip(self.names, self.flat(x), strict=True)}

    def starts(self, rng: np.random.Generator, k: int) -> NDArray[np.float64]:
        """`k` random starts of shape (k, n): `x0` plus Gaussian noise, inside the bounds.

        The standard deviation is half of `sigma`.
        """
        box = self.bounds
        found = super().starts(rng, k)
        return found if box is None else found.clip(box.lb, box.ub)
