"""Arrays of Dr.Jit as tensors. Import with a backend active."""

from __future__ import annotations

from typing import Any

import drjit
import mitsuba
from torch import Tensor

__all__ = ["tensor", "tensors"]

# Untyped, because their types depend on the variant.
dr: Any = drjit
mi: Any = mitsuba


def tensors(arrays: list[Any], count: int) -> list[Tensor]:
    """Evaluate arrays together and return them as tensors, see `tensor`."""
    dr.eval(arrays)
    dr.sync_thread()
    return [tensor(array, count) for array in arrays]


def tensor(value: Any, count: int) -> Tensor:
    """Return an array as a tensor, shape (channels, count), on the same memory."""
    if type(value).__name__ == "Bool":
        value = mi.UInt8(value)
        dr.eval(value)
        dr.sync_thread()
        found: Tensor = value.torch().view(1, -1).bool()
    else:
        found = value.torch()
    return found.expand(found.shape[0], count) if found.shape[1] != count else found
