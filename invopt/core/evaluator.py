"""Evaluator: what estimators and methods may ask of the objective, at a price that is counted."""

from __future__ import annotations

import abc
import math

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.objective import ADJOINT, Adjoint, Capability
from invopt.core.residual_equation import Sides

__all__ = ["HESS_COST", "JAC_COST", "Evaluator", "price_of"]

# Evaluations that a value with its derivative counts as: one pass forwards, one backwards.
JAC_COST = 2
# What a Hessian counts as on top: one call, of the user's or of a closed form.
HESS_COST = 1


class Evaluator(abc.ABC):
    """Objective as estimators see it: points in units of `x_scale`, inside the bounds, every value counted.

    Attributes
    ----------
    n : int
        Number of parameters.
    provides : Capability
        What the objective can be asked for.
    x_scale : Tensor, shape (n,)
        Units of each parameter.
    is_noisy : bool
        Whether values at one point were seen to differ.
    """

    n: int
    provides: Capability
    x_scale: Tensor
    is_noisy: bool

    @property
    @abc.abstractmethod
    def nfev(self) -> int:
        """Evaluations so far."""

    @property
    @abc.abstractmethod
    def affordable(self) -> float:
        """Evaluations that the run may have spent in all, without those kept for the answer."""

    @abc.abstractmethod
    def check_budget(self, k: int) -> None:
        """End the run unless `k` more evaluations are within the budget."""

    # Values.

    @abc.abstractmethod
    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None, keep_inf: bool = False) -> Tensor:
        """Values of shape (k,) at the rows of `x`; of a failed evaluation nan.

        Where the objective is inf, the value is the largest finite one of the run so far, from which a sampled slope
        leads away; or, with `keep_inf`, inf.
        """

    @abc.abstractmethod
    def residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Residuals of shape (k, m) at the rows of `x`; one evaluation a row; of a failed evaluation nan."""

    @abc.abstractmethod
    def levelled(self, values: Tensor) -> Tensor:
        """Values with the highest finite one of the run where they are inf: samples still lead away from there."""

    @abc.abstractmethod
    def values_and_jacs(
        self, x: Tensor, *, seed: NDArray[np.int64], adjoint: Adjoint = ADJOINT
    ) -> tuple[Tensor, Tensor]:
        """Values of shape (k,) and the objective's own derivatives of shape (k, n) at one point, one for each seed."""

    @property
    @abc.abstractmethod
    def blind_spots(self) -> str:
        """What the objective's derivative is known to leave out, as a sentence; empty if nothing."""

    @abc.abstractmethod
    def hess(self, x: Tensor, *, seed: int) -> Tensor:
        """The objective's own Hessian of shape (n, n) at one point."""

    @abc.abstractmethod
    def sides(self, x: Tensor, *, seed: int, step: int, differentiate_right: bool) -> Sides:
        """Both sides of the equation at `x` of shape (n,), in the problem's own units; counts as one evaluation."""

    # Points.

    @abc.abstractmethod
    def project(self, x: Tensor) -> Tensor:
        """Nearest point inside the bounds."""

    @property
    @abc.abstractmethod
    def sigma_limit(self) -> float:
        """Width of a kernel that the bounds leave room for: half the narrowest side of the box, inf if it is open."""

    @abc.abstractmethod
    def extent(self, x: Tensor) -> Tensor:
        """Sides of the box, shape (n,); inf where it is open."""

    @abc.abstractmethod
    def inside(self, x: Tensor, margin: Tensor) -> Tensor:
        """Nearest point that is `margin` away from the bounds in every parameter; the box must be that wide."""

    @abc.abstractmethod
    def projected_gradient(self, x: Tensor, jac: Tensor) -> Tensor:
        """Gradient with the components dropped that only push against an active bound."""

    @abc.abstractmethod
    def free(self, x: Tensor, jac: Tensor) -> Tensor:
        """Which parameters are not pressed against a bound, shape (n,)."""

    @abc.abstractmethod
    def unscale(self, x: Tensor) -> Tensor:
        """Nearest point inside the bounds, in the problem's own units."""

    @abc.abstractmethod
    def scale_gradient(self, jac: Tensor) -> Tensor:
        """A derivative in the problem's own units, in units of `x_scale`."""


def price_of(spp: int | None, samples: int | None) -> int:
    """What an evaluation with `spp` samples per pixel counts where one has `samples`, or has none."""
    return 1 if spp is None or samples is None else math.ceil(spp / samples)
