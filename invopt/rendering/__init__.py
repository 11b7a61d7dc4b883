"""Rendering with Mitsuba and Dr.Jit; nothing else imports them."""

from invopt.rendering.backend import activate, active, set_threads
from invopt.rendering.bindings import (
    Binding,
    CameraPose,
    Color,
    Custom,
    Displacements,
    FieldOfView,
    Numbers,
    Pose,
    Rotation,
    Scale,
    Texels,
    Translation,
    Value,
)
from invopt.rendering.choice import Backend, choose
from invopt.rendering.device.doctor import report
from invopt.rendering.device.install import Installation, install
from invopt.rendering.exploring import explore
from invopt.rendering.losses import (
    FLIP,
    L1,
    MSE,
    SSIM,
    Cauchy,
    GradientMSE,
    Huber,
    LogMSE,
    Loss,
    MultiScaleMSE,
    RelativeMSE,
    ValueLoss,
)
from invopt.rendering.meshes import Mesh
from invopt.rendering.photographs import Photograph
from invopt.rendering.runtime import RENDERER
from invopt.rendering.scene import LiveScene

__all__ = [
    "FLIP",
    "L1",
    "MSE",
    "RENDERER",
    "SSIM",
    "Backend",
    "Binding",
    "CameraPose",
    "Cauchy",
    "Color",
    "Custom",
    "Displacements",
    "FieldOfView",
    "GradientMSE",
    "Huber",
    "Installation",
    "LiveScene",
    "LogMSE",
    "Loss",
    "Mesh",
    "MultiScaleMSE",
    "Numbers",
    "Photograph",
    "Pose",
    "RelativeMSE",
    "Rotation",
    "Scale",
    "Texels",
    "Translation",
    "Value",
    "ValueLoss",
    "activate",
    "active",
    "choose",
    "explore",
    "install",
    "report",
    "set_threads",
]
