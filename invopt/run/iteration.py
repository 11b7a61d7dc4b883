"""Iteration: where the iterations of a run stand between two of them."""

from __future__ import annotations

import math
from typing import Any

from attrs import define, field
from torch import Tensor

from invopt.core.estimator import Estimate
from invopt.core.result import Status
from invopt.run.stopping import PlateauWatch, StallWatch

__all__ = ["Iteration"]


@define(kw_only=True, eq=False)
class Iteration:
    """Present point, states of estimator and method, and the step that led there.

    Attributes
    ----------
    x : Tensor, shape (n,)
        The point, in units of `x_scale`.
    memory, state : object
        State of the estimator and of the method.
    step : float
        Length of the last step; nan at the start.
    estimate : Estimate or None
        The estimate at `x`, if it is known already.
    verdict : Status
        The method's own verdict after its last step.
    plateau : PlateauWatch
        Counts estimates in a row whose samples do not differ.
    stall : StallWatch
        Counts estimates of this descent in a row whose values do not fall.
    """

    x: Tensor
    memory: Any
    state: Any
    step: float = math.nan
    estimate: Estimate | None = None
    verdict: Status = Status.RUNNING
    plateau: PlateauWatch = field(factory=PlateauWatch)
    stall: StallWatch = field(factory=StallWatch)
