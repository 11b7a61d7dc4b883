"""Bindings: the unknowns of a scene, one kind a file."""

from invopt.rendering.bindings.binding import Binding, ValueBinding
from invopt.rendering.bindings.color import Color
from invopt.rendering.bindings.custom import Custom
from invopt.rendering.bindings.motion import CameraPose, Motion, Pose, Rotation, Scale, Translation
from invopt.rendering.bindings.texels import Texels
from invopt.rendering.bindings.value import FieldOfView, Value

__all__ = [
    "Binding",
    "CameraPose",
    "Color",
    "Custom",
    "FieldOfView",
    "Motion",
    "Pose",
    "Rotation",
    "Scale",
    "Texels",
    "Translation",
    "Value",
    "ValueBinding",
]
