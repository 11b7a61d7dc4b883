"""Optimizers: one file a method."""

from invopt._optimizer import Optimizer as REGISTERED_BASE  # noqa: N811 - how the registry finds the wing's base

__all__ = []
