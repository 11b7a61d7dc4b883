"""AggregateHVP: Hessian-vector products of the smoothed objective.

They come from one set of samples.
"""

from __future__ import annotations

from attrs import field, frozen

from .smoothed_hvp import SmoothedHVP

__all__ = ["AggregateHVP"]


@frozen(kw_only=True)
class AggregateHVP(SmoothedHVP):
    """`SmoothedHVP` with the aggregate proposal, the paper's "OurHVPA".

    ``2 n_samples`` evaluations for `jac` and ``4 n_samples`` a product, for any number of parameters.

    References
    ----------
    .. [1] Wang, Fischer, Ritschel, "Stochastic Gradient Estimation for Higher-order Differentiable Rendering",
       ICCV 2025, sec. 3.5.
    """

    proposal: str = field(default="aggregate", init=False)
