"""AggregateGradient: gradient of the smoothed objective from one set of samples."""

from __future__ import annotations

from attrs import field, frozen

from .smoothed_gradient import SmoothedGradient

__all__ = ["AggregateGradient"]


@frozen(kw_only=True)
class AggregateGradient(SmoothedGradient):
    """`SmoothedGradient` with the aggregate proposal.

    It costs ``2 n_samples`` evaluations for any number of parameters.

    References
    ----------
    .. [1] Wang, Fischer, Ritschel, "Stochastic Gradient Estimation for Higher-order Differentiable Rendering",
       ICCV 2025, sec. 3.5.
    """

    proposal: str = field(default="aggregate", init=False)
