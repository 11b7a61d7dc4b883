"""Steps of a quadratic model that stay inside the bounds."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from invopt.plugin import Oracle

__all__ = ["step_into_box"]

# Share of the linear decrease that a step cut by the box must keep (Nocedal and Wright, sec. 3.1).
_SUFFICIENT_DECREASE = 1e-4
# Most halvings: a step of 1/4096 is then taken as it is.
# Measured (tests/benchmarks/constants.py): no influence within 2 % with 6 and 24.
_MAX_HALVINGS = 12


def step_into_box(
    x: Tensor, step: Tensor, jac: Tensor, hessp: Callable[[Tensor], Tensor], oracle: Oracle
) -> tuple[Tensor, bool]:
    """Shorten `step` along the projected path from `x` until the model decreases.

    Returns the point, and whether bounds have cut the step. Without active bounds the result is ``x + step``, and no
    product is computed. A Newton step that is cut at the bounds can increase the model, and the run would repeat it
    forever. This is Bertsekas' search along the projected path [1]_, applied to the model, so that it costs products
    but no values.

    References
    ----------
    .. [1] Bertsekas, "Projected Newton Methods for Optimization Problems with Simple Constraints", SIAM J. Control
       Optim. 20(2), 1982.
    """
    free = x + step
    target = oracle.project(free)
    if target is free or torch.equal(target, free):
        return free, False
    for _ in range(_MAX_HALVINGS):
        moved = target - x
        linear = float(torch.dot(jac, moved))
        if linear < 0 and linear + 0.5 * float(torch.dot(moved, hessp(moved))) <= _SUFFICIENT_DECREASE * linear:
            break
        step = 0.5 * step
        target = oracle.project(x + step)
    return target, True
