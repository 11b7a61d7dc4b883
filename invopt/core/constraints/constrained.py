"""Constrained: a problem together with constraints, and its objective."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from attrs import frozen
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.constraints.limits import Limits
from invopt.core.formatting import shown
from invopt.core.objective import Capability, Objective
from invopt.core.wrapping import ProblemOf
from invopt.exceptions import WrongValueError

__all__ = ["Constrained", "ConstrainedObjective"]


@frozen(kw_only=True, eq=False)
class Constrained(ProblemOf):
    """A problem and its constraints; all else is the problem's.

    Parameters
    ----------
    problem : Problem
        What is minimised without the constraints.
    limits : Limits
        Ranges of the constraints.
    functions : tuple of callable, or None
        The nonlinear constraints, cheap functions of x; None if `fun` returns them with its value.
    """

    limits: Limits
    functions: tuple[Callable[..., Any], ...] | None

    @property
    def provides(self) -> Capability:  # type: ignore[override]
        """Values only."""
        return Capability.FUN

    @property
    def default_estimator(self) -> str | None:  # type: ignore[override]
        """That for values."""
        return None

    @property
    def default_method(self) -> Any:
        """That for constraints."""
        return None

    @property
    def constraints(self) -> Limits:
        """Ranges of the constraints."""
        return self.limits

    def why_not(self, missing: Capability) -> str:
        """Why it has values only."""
        return "with 'constraints' a run compares values only"

    def identity_content(self) -> dict[str, Any]:
        """The content of the problem, and the constraints."""
        return {**self.problem.identity_content(), "constraints": [self.limits, self.functions]}

    def open(self) -> Objective:
        """Open the problem's objective, with the constraints."""
        return ConstrainedObjective(self.problem.open(), self.limits, self.functions)


class ConstrainedObjective(Objective):
    """An objective and its constraints; see `Constrained`.

    Parameters
    ----------
    inner : Objective
        The objective.
    limits, functions
        As of `Constrained`.
    """

    def __init__(self, inner: Objective, limits: Limits, functions: tuple[Callable[..., Any], ...] | None) -> None:
        self.inner, self._functions = inner, functions
        self.describe_as(inner.described())
        self.constraints = limits
        if functions is None:
            self.chunk_size = 1

    def constrained(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Rows (f, c) at the rows of `x`, shape (k, 1 + p + q)."""
        points = x.numpy()
        if self._functions is None:
            rows = np.array([self._returned(row, int(s)) for row, s in zip(points, seed, strict=True)])
        else:
            values = self.inner.fun(x, seed=seed, spp=spp).double().numpy()
            each = [
                np.concatenate([np.empty(0), *(as_values(g(row.copy())) for g in self._functions)]) for row in points
            ]
            rows = np.concatenate([values[:, None], np.array(each).reshape(len(points), -1)], 1)
        found = np.concatenate([rows, points @ self.constraints.slopes.T], 1)
        if found.shape[1] != 1 + self.constraints.low.size:
            wanted, got = (
                size - len(self.constraints.slopes) for size in (self.constraints.low.size, found.shape[1] - 1)
            )
            raise WrongValueError(f"'constraints' must have {wanted} values, as their limits have, got {got}")
        return torch.from_numpy(found)

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Values, inf where a constraint does not hold."""
        return torch.from_numpy(self.constraints.merit(self.constrained(x, seed=seed, spp=spp).numpy()))

    def _returned(self, x: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
        """Value and constraints that `fun` returns at one point."""
        pair = cast(Any, self.inner).returned(x, seed)
        if not isinstance(pair, tuple | list) or len(pair) != 2 or np.size(pair[0]) != 1:
            raise WrongValueError(f"'fun' must return (f, c), a value and those of the constraints: {shown(pair)}")
        return np.concatenate([as_values(pair[0]), as_values(pair[1])])

    def image(self, x: NDArray[np.float64], *, seed: int = 0, spp: int | None = None) -> NDArray[Any] | None:
        """Picture at `x`."""
        return self.inner.image(x, seed=seed, spp=spp)

    def write(self, x: NDArray[np.float64], out: Path) -> list[Path]:
        """Write further files for `x`."""
        return self.inner.write(x, out)

    def close(self) -> None:
        """Release the objective."""
        self.inner.close()


def as_values(value: Any) -> NDArray[np.float64]:
    """Return what a constraint returned as a vector."""
    try:
        found = np.atleast_1d(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError):
        found = np.empty((0, 0))
    if found.ndim != 1:
        raise WrongValueError(f"a constraint must return a number or a vector of numbers: {shown(value)}")
    return found
