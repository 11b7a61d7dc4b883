"""Problems: one file a task."""

from .box2 import Box2
from .box10 import Box10
from .function import Function
from .mug import Mug
from .quadratic import Quadratic

__all__ = ["Box2", "Box10", "Function", "Mug", "Quadratic"]
