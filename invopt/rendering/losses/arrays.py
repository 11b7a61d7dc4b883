"""Functions of pictures that are arrays of numpy or tensors of Dr.Jit."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["above", "at_least", "log", "root"]


def at_least(value: Any, limit: Any) -> Any:
    """Larger of each number and a limit."""
    return np.maximum(value, limit) if isinstance(value, np.ndarray) else _jit().maximum(value, limit)


def above(value: Any, limit: float, larger: Any, smaller: Any) -> Any:
    """`larger` where a number is above a limit, `smaller` elsewhere."""
    if isinstance(value, np.ndarray):
        return np.where(value > limit, larger, smaller)
    return _jit().select(value > limit, larger, smaller)


def root(value: Any) -> Any:
    """Square root."""
    return np.sqrt(value) if isinstance(value, np.ndarray) else _jit().sqrt(value)


def log(value: Any) -> Any:
    """Natural logarithm."""
    return np.log(value) if isinstance(value, np.ndarray) else _jit().log(value)


def _jit() -> Any:
    import drjit

    return drjit
