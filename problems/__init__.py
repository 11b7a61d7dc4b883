"""Problems: one file a task."""

from invopt._problem import Problem as REGISTERED_BASE
from invopt.problems.box2 import Box2
from invopt.problems.box10 import Box10
from invopt.problems.function import Function
from invopt.problems.quadratic import Quadratic

__all__ = ["Box2", "Box10", "Function", "Quadratic"]
