"""Problems: one file a task."""

from invopt._problem import Problem as REGISTERED_BASE  # noqa: N811 - how the registry finds the wing's base
from invopt.problems.function import Function

__all__ = ["Function"]
