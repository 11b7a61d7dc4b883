"""Units of steps, gradients inside bounds, and learning rates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from invopt.plugin import Estimate, Oracle, Schedule, real

if TYPE_CHECKING:
    from attrs import Attribute

__all__ = ["check_rate", "free_gradient", "gradient", "rate_at", "shortened", "unit"]

_positive = real(above=0)


def unit(estimate: Estimate) -> float:
    """Unit of step lengths: the estimate's own, else sigma, else that of `x_scale`."""
    if estimate.unit is not None:
        return estimate.unit()
    return estimate.sigma if estimate.sigma > 0 else 1.0


def gradient(estimate: Estimate) -> Tensor:
    """Gradient of an estimate, which must have one."""
    if estimate.jac is None:
        raise TypeError("this estimate has no gradient")
    return estimate.jac


def free_gradient(x: Tensor, jac: Tensor, oracle: Oracle) -> tuple[Tensor, Tensor | None]:
    """Gradient over the free parameters, and which they are; None if all."""
    projected = oracle.projected_gradient(x, jac)
    if projected is jac:
        return jac, None
    free = projected == jac
    return projected, None if bool(free.all()) else free


def shortened(step: Tensor, limit: float) -> Tensor:
    """Scale `step` down to the length `limit` if it is longer."""
    length = float(torch.linalg.vector_norm(step))
    return step if length <= limit else step * (limit / length)


def rate_at(lr: float | Schedule | None, iteration: int, default: float, share: float) -> float:
    """Learning rate at an iteration, with the share of the budget that is spent.

    `default` stands in for None.
    """
    if isinstance(lr, Schedule):
        return lr.at(iteration, default, share)
    return default if lr is None else lr


def check_rate(instance: Any, attribute: Attribute[Any], value: Any) -> None:
    """Check that a field is a schedule or a positive number."""
    if not isinstance(value, Schedule):
        _positive(instance, attribute, value)
