"""Constraints of a run as scipy's methods take them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import LinearConstraint, NonlinearConstraint

from invopt.plugin import LinearRows

__all__ = ["constraints_of"]

Array: TypeAlias = NDArray[np.float64]


def constraints_of(limits: Any, linear: LinearRows | None, values: Callable[[Array], Array]) -> list[Any]:
    """Return the constraints of a run, for points in units of `x_scale`.

    Parameters
    ----------
    limits : Limits
        Their ranges, those of linear ones last.
    linear : LinearRows or None
        Slopes of the linear ones.
    values : callable
        ``values(x)``: values of all constraints at a point.
    """
    count = limits.low.size - (0 if linear is None else linear.size)
    found: list[Any] = []
    if count:
        found.append(NonlinearConstraint(lambda x: values(x)[:count], limits.low[:count], limits.high[:count]))
    if linear is not None:
        low, high = (side[count:] + linear.offsets for side in (limits.low, limits.high))
        found.append(LinearConstraint(linear.matrix.toarray(), low, high))
    return found
