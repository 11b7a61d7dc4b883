"""ProblemOf: base of problems that are another problem and something more."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy.optimize import Bounds
from torch import Tensor

from invopt.core.parameters.grid import Grid
from invopt.core.problem import Problem
from invopt.core.runtime import Runtime

__all__ = ["ProblemOf"]


@frozen(kw_only=True, eq=False)
class ProblemOf(Problem):
    """Base of problems that are another problem and something more.

    All else is that problem's.

    Parameters
    ----------
    problem : Problem
        The problem.
    """

    problem: Problem

    def parameter_error(self, x: NDArray[np.float64]) -> float:
        """Mean squared distance from the problem's known answer."""
        return self.problem.parameter_error(x)

    def parameters(self, x: NDArray[np.float64]) -> dict[str, Any]:
        """Values at `x` by name."""
        return self.problem.parameters(x)

    def readable(self, x: NDArray[np.float64]) -> dict[str, str]:
        """Parameters at `x` by name, as texts."""
        return self.problem.readable(x)

    def starts(self, rng: np.random.Generator, k: int) -> NDArray[np.float64]:
        """`k` random starts of shape (k, n)."""
        return self.problem.starts(rng, k)

    def as_tensor(self, x: NDArray[np.float64]) -> Tensor:
        """Return a point as the loop uses it."""
        return self.problem.as_tensor(x)

    def prepare(self) -> None:
        """Create files that all processes share."""
        self.problem.prepare()

    # Attributes of the problem.

    @property
    def runtime(self) -> Runtime:  # type: ignore[override]
        """Requirements on the processes that evaluate it."""
        return self.problem.runtime

    @property
    def sparse(self) -> bool:  # type: ignore[override]
        """Whether each residual depends on few of many parameters."""
        return self.problem.sparse

    @property
    def default_estimator(self) -> str | None:  # type: ignore[override]
        """Default estimator of the problem."""
        return self.problem.default_estimator

    @property
    def noise_std(self) -> float | None:
        """Standard deviation of a residual's noise."""
        return self.problem.noise_std

    @property
    def constraints(self) -> Any:
        """Constraints of the problem."""
        return self.problem.constraints

    @property
    def prior(self) -> Any:
        """Prior of the problem."""
        return self.problem.prior

    @property
    def default_maxfev(self) -> int:  # type: ignore[override]
        """Default budget of evaluations."""
        return self.problem.default_maxfev

    @property
    def x0(self) -> NDArray[np.float64]:
        """Default start."""
        return self.problem.x0

    @property
    def n(self) -> int:
        """Number of parameters."""
        return self.problem.n

    @property
    def bounds(self) -> Bounds | None:
        """Box that no point leaves."""
        return self.problem.bounds

    @property
    def x_scale(self) -> NDArray[np.float64]:
        """Typical size of change in each parameter."""
        return self.problem.x_scale

    @property
    def periods(self) -> NDArray[np.float64]:
        """Period of each parameter."""
        return self.problem.periods

    @property
    def grids(self) -> tuple[Grid, ...]:
        """Parameters that are neighbours of each other."""
        return self.problem.grids

    @property
    def names(self) -> tuple[str, ...]:
        """Readable name of each parameter."""
        return self.problem.names

    @property
    def sigma(self) -> float:
        """First sigma, in units of `x_scale`."""
        return self.problem.sigma

    @property
    def default_method(self) -> Any:
        """Default method of the problem."""
        return self.problem.default_method

    @property
    def samples(self) -> int | None:
        """Samples per pixel of an evaluation."""
        return self.problem.samples

    @property
    def x_opt(self) -> NDArray[np.float64] | None:
        """The known answer of the problem."""
        return self.problem.x_opt
