"""CountedObjective: counts evaluations independently of the run's own counts."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.evaluator import JAC_COST, price_of
from invopt.core.objective import ADJOINT, Adjoint, Objective
from invopt.core.residual_equation import Sides

__all__ = ["CountedObjective"]


class CountedObjective(Objective):
    """Objective that hands every call on to another, and counts evaluations.

    Parameters
    ----------
    objective : Objective
        The open objective.
    samples : int, optional
        Samples per pixel of one evaluation: a render with more counts as several.

    Attributes
    ----------
    count : int
        Evaluations so far: one for each row of values or residuals, two for a derivative.
    """

    def __init__(self, objective: Objective, samples: int | None = None) -> None:
        self.objective = objective
        self.samples = samples
        self.count = 0
        self.describe_as(objective.described())

    def __getattr__(self, name: str) -> Any:
        # Attributes that the base class does not have, such as a third party's, are not counted.
        return getattr(self.objective, name)

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Values, one evaluation each."""
        self.count += x.shape[0] * price_of(spp, self.samples)
        return self.objective.fun(x, seed=seed, spp=spp)

    def residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Residuals, one evaluation a row."""
        self.count += x.shape[0] * price_of(spp, self.samples)
        return self.objective.residuals(x, seed=seed, spp=spp)

    def item_fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Values for items of a network's data, one evaluation each."""
        self.count += x.shape[0] * price_of(spp, self.samples)
        found: Tensor = cast(Any, self.objective).item_fun(x, seed=seed, spp=spp)
        return found

    def item_residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Residuals for items of a network's data, one evaluation a row."""
        self.count += x.shape[0] * price_of(spp, self.samples)
        found: Tensor = cast(Any, self.objective).item_residuals(x, seed=seed, spp=spp)
        return found

    def item_value_and_jac(
        self, x: Tensor, *, seed: int, spp: int | None = None, adjoint: Adjoint = ADJOINT
    ) -> tuple[float, Tensor]:
        """Value and derivative for an item of a network's data."""
        self.count += JAC_COST
        found: tuple[float, Tensor] = cast(Any, self.objective).item_value_and_jac(
            x, seed=seed, spp=spp, adjoint=adjoint
        )
        return found

    def jac(self, x: Tensor, *, seed: int) -> Tensor:
        """Derivative, as many evaluations as with its value."""
        self.count += JAC_COST
        return self.objective.jac(x, seed=seed)

    def value_and_jac(
        self, x: Tensor, *, seed: int, spp: int | None = None, adjoint: Adjoint = ADJOINT
    ) -> tuple[float, Tensor]:
        """Value and derivative."""
        self.count += JAC_COST
        return self.objective.value_and_jac(x, seed=seed, spp=spp, adjoint=adjoint)

    def sides(self, x: Tensor, *, seed: int, step: int, differentiate_right: bool) -> Sides:
        """Both sides of an equation, one evaluation."""
        self.count += 1
        return self.objective.sides(x, seed=seed, step=step, differentiate_right=differentiate_right)

    @property
    def blind_spots(self) -> str:
        """What the derivative leaves out, as a sentence; empty if nothing."""
        return self.objective.blind_spots

    def hess(self, x: Tensor, *, seed: int) -> Tensor:
        """Hessian."""
        self.count += JAC_COST
        return self.objective.hess(x, seed=seed)

    def image(self, x: NDArray[np.float64], *, seed: int = 0, spp: int | None = None) -> NDArray[Any] | None:
        """Rendered image, for measurements: not counted."""
        return self.objective.image(x, seed=seed, spp=spp)
