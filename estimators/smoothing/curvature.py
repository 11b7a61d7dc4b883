"""Base of the estimators that sample gradient and curvature separately."""

from __future__ import annotations

from typing import ClassVar

from invopt.plugin import Exponential, Schedule

from ..smoothed_gradient import SmoothedGradient
from .sampled import SampledEstimator

__all__ = ["CurvatureEstimator"]


class CurvatureEstimator(SampledEstimator):
    """Base of `SmoothedHessian` and `SmoothedHVP`.

    Subclasses define the field `proposal`.
    """

    __slots__ = ()

    # Methods with curvature need few steps, so that sigma falls faster than for first-order methods.
    # Measured (tests/benchmarks/constants.py): with 0.855 and 0.945, 21 % fewer and 60 % more evaluations to the
    # answer; 9 and 12 runs solved rather than 11 of 12.
    default_schedule: ClassVar[Schedule] = Exponential(factor=0.9)
    proposal: str

    def cost(self, n: int) -> int:
        """Evaluations of one estimate of `fun` and `jac`."""
        return self._gradient().cost(n)

    def _gradient(self) -> SmoothedGradient:
        return SmoothedGradient(
            n_samples=self.n_samples, antithetic=self.antithetic, proposal=self.proposal, seeds=self.seeds
        )
