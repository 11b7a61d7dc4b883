"""Losses, which compare two pictures.

The same code serves numpy and Dr.Jit with its derivatives.
"""

from invopt.rendering.losses.callable_loss import CallableLoss
from invopt.rendering.losses.flip import FLIP
from invopt.rendering.losses.gradient_mse import GradientMSE
from invopt.rendering.losses.log_mse import LogMSE
from invopt.rendering.losses.loss import Loss
from invopt.rendering.losses.multi_scale import MultiScaleMSE
from invopt.rendering.losses.names import as_loss
from invopt.rendering.losses.robust import Cauchy, Huber
from invopt.rendering.losses.squares import L1, MSE, RelativeMSE
from invopt.rendering.losses.ssim import SSIM
from invopt.rendering.losses.values import ValueLoss

__all__ = [
    "FLIP",
    "L1",
    "MSE",
    "SSIM",
    "CallableLoss",
    "Cauchy",
    "GradientMSE",
    "Huber",
    "LogMSE",
    "Loss",
    "MultiScaleMSE",
    "RelativeMSE",
    "ValueLoss",
    "as_loss",
]
