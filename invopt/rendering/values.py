"""Conversion between numpy and the types of Mitsuba's parameters.

The types depend on the backend.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["from_mitsuba", "renderer", "to_mitsuba"]


def renderer() -> Any:
    """Return Mitsuba, imported when a scene is opened.

    Untyped, because its stubs depend on the variant.
    """
    import mitsuba

    return mitsuba


def from_mitsuba(value: Any) -> NDArray[np.float64]:
    """Value of a parameter as an array.

    Of shape () or (m,) for numbers, (3,) for colours and points, (4, 4) for poses, (h, w, c) for textures.
    """
    if hasattr(value, "inverse_transpose"):
        value = value.matrix
    array = np.array(value, dtype=np.float64)
    kind = type(value).__name__
    # Matrices and vectors of Dr.Jit have a last dimension of 1, the number of lanes; tensors have none.
    if kind.startswith("Matrix"):
        side = math.isqrt(array.size)
        return array.reshape(side, side)
    return array if kind.startswith("Tensor") or array.ndim < 2 else array.reshape(array.shape[0])


def to_mitsuba(current: Any, value: NDArray[np.float64], *, attach: bool = False) -> tuple[Any, Any]:
    """Value of the type of `current`.

    If `attach`, the second result is the variable that collects its derivative.
    """
    kind = type(current)
    if kind is float:
        return float(value), None
    if hasattr(current, "inverse_transpose"):
        leaf = type(current.matrix)(np.ascontiguousarray(value))
    elif value.ndim <= 1 and kind.__name__ not in _BUFFERS:
        leaf = kind(*value.tolist())
    else:
        leaf = kind(np.ascontiguousarray(value, dtype=np.float32))
    if attach:
        import drjit as dr

        dr.enable_grad(leaf)
    return (kind(leaf) if hasattr(current, "inverse_transpose") else leaf), leaf


# Types of one dimension whose constructor takes an array instead of components.
_BUFFERS = ("Float", "ArrayXf", "Float32", "TensorXf", "ArrayXf64")
