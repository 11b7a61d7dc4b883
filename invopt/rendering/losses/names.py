"""Losses by name."""

from __future__ import annotations

from typing import Any

from invopt.core.formatting import shown
from invopt.core.validators import by_name
from invopt.rendering.losses.callable_loss import CallableLoss
from invopt.rendering.losses.flip import FLIP
from invopt.rendering.losses.gradient_mse import GradientMSE
from invopt.rendering.losses.log_mse import LogMSE
from invopt.rendering.losses.loss import Loss
from invopt.rendering.losses.multi_scale import MultiScaleMSE
from invopt.rendering.losses.robust import Cauchy, Huber
from invopt.rendering.losses.squares import L1, MSE, RelativeMSE
from invopt.rendering.losses.ssim import SSIM

__all__ = ["as_loss"]

_NAMES: dict[str, type[Loss]] = {
    "mse": MSE,
    "relative-mse": RelativeMSE,
    "l1": L1,
    "huber": Huber,
    "cauchy": Cauchy,
    "log-mse": LogMSE,
    "gradient-mse": GradientMSE,
    "multi-scale-mse": MultiScaleMSE,
    "ssim": SSIM,
    "flip": FLIP,
}


def as_loss(value: Any) -> Loss:
    """Return the loss that `value` is, names or computes.

    Names are "mse", "relative-mse", "l1", "huber", "cauchy", "log-mse", "gradient-mse", "multi-scale-mse", and of
    losses with values only "ssim" and "flip".
    """
    if isinstance(value, Loss):
        return value
    if isinstance(value, str):
        return by_name(_NAMES, value, "loss")()
    if callable(value) and not isinstance(value, type):
        return CallableLoss(function=value)
    raise TypeError(f"'loss' must be a name, a Loss or a callable loss(image, target): {shown(value)}")
