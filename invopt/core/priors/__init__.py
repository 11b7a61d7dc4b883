"""Priors: what is known of the parameters before anything is evaluated."""

from invopt.core.priors.gaussian import Gaussian
from invopt.core.priors.posterior import Posterior, nats_of, with_prior
from invopt.core.priors.posterior_objective import PosteriorObjective
from invopt.core.quadratic.linear_rows import LinearRows

__all__ = ["Gaussian", "LinearRows", "Posterior", "PosteriorObjective", "nats_of", "with_prior"]
