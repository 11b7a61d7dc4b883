"""Arguments of `Scene`: pictures, bindings, cameras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from invopt.plugin import as_integer, as_list, require, shown
from invopt.rendering.backend import Backend
from invopt.rendering.bindings import Binding
from invopt.rendering.bindings.layout import check_claims
from invopt.rendering.pictures.targets import as_target

__all__ = ["BACKENDS", "as_bindings", "as_sensors", "as_targets"]

BACKENDS = tuple(backend.value for backend in Backend)


def as_targets(value: Any) -> tuple[Any, ...] | None:
    """Return one or several pictures as a tuple."""
    if value is None:
        return None
    return tuple(as_target(item) for item in (value if _are_several(value) else [value]))


def _are_several(value: Any) -> bool:
    """Whether a list holds pictures and not the rows of one."""
    if not isinstance(value, list | tuple):
        return False
    if any(isinstance(item, str | Path) or hasattr(item, "shape") for item in value):
        return True
    try:
        return np.ndim(value) == 4
    except ValueError:
        # Nested lists of different shapes are pictures of different sizes.
        return True


def as_bindings(value: Any) -> tuple[Binding, ...]:
    """Return one or several bindings as a tuple; no two may set the same parameter."""
    try:
        bindings = (value,) if isinstance(value, Binding) else tuple(as_list("parameters", value))
    except TypeError:
        raise TypeError(f"'parameters' must be bindings such as Translation('sphere'): {shown(value)}") from None
    for binding in bindings:
        if not isinstance(binding, Binding):
            raise TypeError(f"'parameters' must be bindings such as Translation('sphere'): {binding!r}")
    if not bindings:
        raise ValueError("'parameters' must be at least one binding, such as Translation('sphere')")
    check_claims(bindings)
    return bindings


def as_sensors(value: Any) -> tuple[int, ...]:
    """Return numbers of cameras; none means as many as there are targets."""
    if value is None or np.size(value) == 0:
        return ()
    sensors = tuple(as_integer("sensors", item) for item in np.atleast_1d(value).tolist())
    require("sensors", min(sensors) >= 0, "numbers of cameras, from 0", value)
    return sensors
