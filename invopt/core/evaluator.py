"""Evaluator: the objective as estimators and methods see it.

It counts every evaluation.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.answers.shading import Shading
from invopt.core.objective import ADJOINT, Adjoint, Capability
from invopt.core.quadratic.linear_rows import LinearRows
from invopt.core.residual_equation import Sides

__all__ = ["HESS_COST", "JAC_COST", "SHADING_COST", "Evaluator", "price_of"]

# Evaluations that a value with its derivative counts as: one forward and one backward pass.
JAC_COST = 2
# Further evaluations that a Hessian counts as: one call of the user's function or of a closed form.
HESS_COST = 1
# Evaluations that residuals with their Jacobian by what shades count as: tests/benchmarks/separable.py measures its
# time in renders.
SHADING_COST = 2


class Evaluator(abc.ABC):
    """Objective with points in units of `x_scale` and inside the bounds.

    Every evaluation is counted.

    Attributes
    ----------
    n : int
        Number of parameters.
    provides : Capability
        What the objective offers.
    x_scale : Tensor, shape (n,)
        Units of each parameter.
    is_noisy : bool
        Whether two values at one point have differed.
    periods : Tensor, shape (n,)
        Period of each parameter, in units of `x_scale`; inf where it has none.
    """

    n: int
    provides: Capability
    x_scale: Tensor
    is_noisy: bool
    periods: Tensor

    @property
    def indices(self) -> NDArray[np.int64]:
        """Index in the problem's x of each parameter, shape (n,).

        Parameters whose bounds are equal are left out.
        """
        return np.arange(self.n)

    @property
    @abc.abstractmethod
    def nfev(self) -> int:
        """Evaluations so far."""

    @property
    @abc.abstractmethod
    def affordable(self) -> float:
        """Evaluations that the run may spend, without those reserved for the answer."""

    @abc.abstractmethod
    def check_budget(self, k: int) -> None:
        """End the run unless `k` more evaluations are within the budget."""

    # Values.

    @abc.abstractmethod
    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None, keep_inf: bool = False) -> Tensor:
        """Values of shape (k,) at the rows of `x`; nan for a failed evaluation.

        An infinite value is replaced by the largest finite one of the run so far, so that sampled slopes lead away from
        it; with `keep_inf` it stays inf.
        """

    @abc.abstractmethod
    def residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Residuals of shape (k, m) at the rows of `x`.

        One evaluation for each row; nan for a failed evaluation.
        """

    def shading(self, x: Tensor, *, seed: int, spp: int | None = None) -> Shading:
        """Residuals at `x` of shape (n,) and their Jacobian by what shades.

        It has a column for each parameter, empty for those that move. Counts as `SHADING_COST` evaluations.
        NonFiniteError if they are not finite.
        """
        raise TypeError(f"{type(self).__name__} has no Jacobian of what shades")

    @abc.abstractmethod
    def levelled(self, values: Tensor) -> Tensor:
        """Replace infinite values by the largest finite one of the run.

        Slopes then lead away from them.
        """

    @abc.abstractmethod
    def values_and_jacs(
        self, x: Tensor, *, seed: NDArray[np.int64], adjoint: Adjoint = ADJOINT
    ) -> tuple[Tensor, Tensor]:
        """Values (k,) and the objective's own derivatives (k, n) at one point.

        One of each for each seed.
        """

    @property
    @abc.abstractmethod
    def blind_spots(self) -> str:
        """Known omissions of the objective's derivative, as a sentence.

        Empty if there are none.
        """

    @abc.abstractmethod
    def hess(self, x: Tensor, *, seed: int) -> Tensor:
        """The objective's own Hessian, shape (n, n), at one point."""

    @abc.abstractmethod
    def sides(self, x: Tensor, *, seed: int, step: int, differentiate_right: bool) -> Sides:
        """Both sides of the equation at `x` of shape (n,), in the problem's units.

        Counts as one evaluation.
        """

    @property
    def image_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the pictures that the residuals consist of; empty if they are none."""
        return ()

    @property
    def target_noise(self) -> float:
        """Variance of the noise of the target that residuals are differences from.

        As a multiple of that of one evaluation; 0 if the target has none, or nothing is known of it.
        """
        return 0.0

    @property
    def noise_std(self) -> float | None:
        """Standard deviation of one residual at the truth; None if unknown."""
        return None

    @property
    def n_residuals(self) -> int | None:
        """Number of residuals that are compared; None for all."""
        return None

    @property
    def prior(self) -> LinearRows | None:
        """Gaussian prior of these parameters, whose rows are the last residuals."""
        return None

    @property
    def constraints(self) -> Any:
        """Ranges of constraints, see `Limits`; None if there are none."""
        return None

    def constrained(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Values and constraints (f, c) at the rows of `x`, shape (k, 1 + p)."""
        raise TypeError("there are no constraints")

    def linear_constraints(self) -> LinearRows | None:
        """Linear constraints A x - b of these parameters.

        -b is what the fixed ones contribute.
        """
        return None

    def row_variance(self, count: int) -> float:
        """Variance of the known noise of each of `count` residuals.

        The rows of a prior are included; 0 if it is unknown.
        """
        if self.noise_std is None:
            return 0.0
        data = count if self.prior is None else count - self.prior.size
        return self.noise_std**2 * count / (self.n_residuals or data)

    @property
    def first_residuals(self) -> NDArray[np.float64] | None:
        """The objective's own residuals at the start, shape (m,).

        None where those that are evaluated are the objective's own.
        """
        return None

    def examine(self, x: Tensor, seeds: Callable[[], NDArray[np.int64]]) -> None:
        """Note what can be told of a point before it is refined.

        ``seeds()`` draws two seeds. Nothing by default.
        """
        return

    # Points.

    @abc.abstractmethod
    def project(self, x: Tensor) -> Tensor:
        """Nearest point inside the bounds."""

    @property
    @abc.abstractmethod
    def sigma_limit(self) -> float:
        """Largest sigma that the bounds leave room for.

        It is half the shortest side of the box; inf without bounds.
        """

    @abc.abstractmethod
    def extent(self, x: Tensor) -> Tensor:
        """Box widths, shape (n,); inf where a bound is missing."""

    @abc.abstractmethod
    def inside(self, x: Tensor, margin: Tensor) -> Tensor:
        """Nearest point at least `margin` away from the bounds in every parameter.

        The box must allow such a margin.
        """

    @abc.abstractmethod
    def projected_gradient(self, x: Tensor, jac: Tensor) -> Tensor:
        """Gradient with zeros in the components that point out of an active bound."""

    @abc.abstractmethod
    def free(self, x: Tensor, jac: Tensor) -> Tensor:
        """Whether each parameter is free, of shape (n,).

        A free parameter is not held at an active bound by the gradient.
        """

    @abc.abstractmethod
    def unscale(self, x: Tensor) -> Tensor:
        """Nearest point inside the bounds, in the problem's units."""

    @abc.abstractmethod
    def scale_gradient(self, jac: Tensor) -> Tensor:
        """Convert a derivative from the problem's units to units of `x_scale`."""


def price_of(spp: int | None, samples: int | None) -> int:
    """Return how many evaluations one with `spp` samples per pixel counts as.

    `samples` is the usual number of samples per pixel.
    """
    return 1 if spp is None or samples is None else math.ceil(spp / samples)
