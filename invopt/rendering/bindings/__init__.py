"""Bindings, which declare the unknowns of a scene; one kind per file."""

from invopt.rendering.bindings.binding import Binding, ValueBinding
from invopt.rendering.bindings.color import Color
from invopt.rendering.bindings.custom import Custom
from invopt.rendering.bindings.displacements import Displacements
from invopt.rendering.bindings.motion import Motion, Rotation, Scale, Translation
from invopt.rendering.bindings.numbers import Numbers
from invopt.rendering.bindings.pose import CameraPose, Pose
from invopt.rendering.bindings.texels import Texels
from invopt.rendering.bindings.value import FieldOfView, Value

__all__ = [
    "Binding",
    "CameraPose",
    "Color",
    "Custom",
    "Displacements",
    "FieldOfView",
    "Motion",
    "Numbers",
    "Pose",
    "Rotation",
    "Scale",
    "Texels",
    "Translation",
    "Value",
    "ValueBinding",
]
