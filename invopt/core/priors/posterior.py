"""Posterior: a problem together with a prior of its parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from invopt.core.formatting import shown
from invopt.core.objective import Capability, Objective
from invopt.core.priors.gaussian import Gaussian, as_pair
from invopt.core.priors.log_density import LogDensity
from invopt.core.priors.posterior_objective import PosteriorObjective
from invopt.core.problem import Problem, has_weights
from invopt.core.quadratic.linear_rows import LinearRows
from invopt.core.wrapping import ProblemOf
from invopt.exceptions import IncompatibleError

__all__ = ["Posterior", "nats_of", "with_prior"]

# A log density of the user has neither a derivative nor rows.
_OF_DENSITIES = Capability.FUN


@frozen(kw_only=True, eq=False)
class Posterior(ProblemOf):
    """A problem and a prior of its parameters; all else is the problem's.

    Parameters
    ----------
    problem : Problem
        What is minimised without the prior.
    density : LinearRows or LogDensity
        The prior.
    """

    density: LinearRows | LogDensity

    @property
    def provides(self) -> Capability:  # type: ignore[override]
        """What the problem provides; with a log density, values only."""
        return self.problem.provides if isinstance(self.density, LinearRows) else _OF_DENSITIES

    @property
    def prior(self) -> LinearRows | LogDensity:
        """The prior, and that of the problem itself."""
        own = self.problem.prior
        return self.density.joined(own) if isinstance(self.density, LinearRows) else self.density

    def open(self) -> Objective:
        """Open the problem's objective, with the prior."""
        return self.around(self.problem.open())

    def around(self, objective: Objective) -> PosteriorObjective:
        """Return an open objective of the problem with the prior."""
        if isinstance(objective, PosteriorObjective):
            objective = objective.inner
        return PosteriorObjective(objective, self.prior, self.noise_std)

    def identity_content(self) -> dict[str, Any]:
        """The content of the problem, and the prior."""
        density = self.density
        kept = density.function if isinstance(density, LogDensity) else [density.matrix.toarray(), density.offsets]
        return {**self.problem.identity_content(), "prior": kept}

    def why_not(self, missing: Capability) -> str:
        """Why this problem does not provide something."""
        if isinstance(self.density, LogDensity) and missing & self.problem.provides:
            return "a log density has neither a derivative nor residuals; a Gaussian prior has both"
        return self.problem.why_not(missing)

    @property
    def default_estimator(self) -> str | None:  # type: ignore[override]
        """The problem's default; with a log density, that for values."""
        return self.problem.default_estimator if isinstance(self.density, LinearRows) else None


def with_prior(problem: Problem, prior: Any) -> Problem:
    """Return a problem with a prior as `minimize` takes it; None is no prior.

    Raises
    ------
    TypeError, ValueError
        If the prior is of the wrong kind or shape, or the noise of residuals is not known. `IncompatibleError` for
        problems that have no parameters of their own to know something of.
    """
    if prior is None:
        return problem
    if has_weights(problem) or Capability.CHAIN in problem.provides:
        raise IncompatibleError("'prior' is for parameters, and x holds the weights of a network")
    density = _as_density(prior)
    if Capability.RESIDUALS in problem.provides and problem.noise_std is None:
        raise ValueError(
            f"'prior' needs the noise of the residuals, which says how much they count beside it: give "
            f"{type(problem).__name__}(..., noise_std=...), the standard deviation of one residual at the truth; 1 if "
            f"they are divided by it"
        )
    if isinstance(density, Gaussian):
        rows = density.rows(problem.n).with_periods(problem.periods)
        return Posterior(problem=problem, density=rows)
    if problem.prior is not None:
        raise IncompatibleError("give a log density, or priors of the problem's own parameters, not both")
    return Posterior(problem=problem, density=density)


def nats_of(prior: LinearRows | LogDensity, x: NDArray[np.float64]) -> float:
    """Return the negative log density at `x` of shape (n,), up to a constant."""
    if isinstance(prior, LogDensity):
        return -float(prior.at(x[None])[0])
    return 0.5 * float(np.square(prior.at(x[None])).sum())


def _as_density(prior: Any) -> Gaussian | LogDensity:
    """Return a prior from what `minimize` takes."""
    if isinstance(prior, Gaussian):
        return prior
    if isinstance(prior, tuple | list):
        return as_pair(prior)
    function: Callable[..., Any] | None = getattr(prior, "logpdf", prior if callable(prior) else None)
    if function is None:
        raise TypeError(f"'prior' must be a pair (mean, std), a Gaussian or a log density: {shown(prior)}")
    return LogDensity(function)
