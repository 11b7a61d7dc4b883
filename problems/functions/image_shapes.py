"""Shapes of the pictures that residuals consist of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from invopt.exceptions import WrongValueError
from invopt.plugin import as_integer, as_list, require

__all__ = ["as_image_shapes", "check_pictures"]

Shapes = tuple[tuple[int, ...], ...]


def as_image_shapes(value: Any) -> Shapes:
    """Return shapes of pictures, from one shape or several."""
    given = as_list("image_shape", value)
    if not given:
        return ()
    several = all(isinstance(each, Sequence) for each in given)
    return tuple(_as_shape(each) for each in given) if several else (_as_shape(given),)


def _as_shape(value: Any) -> tuple[int, ...]:
    shape = tuple(as_integer("image_shape", size) for size in as_list("image_shape", value))
    fits = len(shape) in (2, 3) and min(shape) >= 1
    require("image_shape", fits, "(height, width) or (height, width, channels), each >= 1", value)
    return shape


def check_pictures(shapes: Shapes, m: int) -> None:
    """Raise unless m residuals contain all pictures."""
    needed = sum(math.prod(shape) for shape in shapes)
    if needed > m:
        raise WrongValueError(f"'image_shape' {shapes} means at least {needed} residuals, and 'fun' returned {m}")
