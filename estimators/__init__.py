"""Estimators: one file an algorithm."""

from invopt._estimator import Estimator as REGISTERED_BASE  # noqa: N811 - how the registry finds the wing's base

__all__ = []
