"""The only place that imports Mitsuba and Dr.Jit, and only once a scene is opened."""

from invopt.rendering.backend import Backend, activate, active, choose, set_threads
from invopt.rendering.bindings import (
    Binding,
    CameraPose,
    Color,
    Custom,
    FieldOfView,
    Pose,
    Rotation,
    Scale,
    Texels,
    Translation,
    Value,
)
from invopt.rendering.device.doctor import report
from invopt.rendering.device.install import Installation, install
from invopt.rendering.losses import L1, MSE, Loss, MultiScaleMSE, RelativeMSE
from invopt.rendering.meshes import Mesh
from invopt.rendering.runtime import RENDERER
from invopt.rendering.scene import LiveScene

__all__ = [
    "L1",
    "MSE",
    "RENDERER",
    "Backend",
    "Binding",
    "CameraPose",
    "Color",
    "Custom",
    "FieldOfView",
    "Installation",
    "LiveScene",
    "Loss",
    "Mesh",
    "MultiScaleMSE",
    "Pose",
    "RelativeMSE",
    "Rotation",
    "Scale",
    "Texels",
    "Translation",
    "Value",
    "activate",
    "active",
    "choose",
    "install",
    "report",
    "set_threads",
]
