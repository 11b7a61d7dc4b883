"""Arguments of `Scene`: pictures, bindings, cameras."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invopt.plugin import as_integer, as_list, require, shown
from invopt.rendering import Photograph
from invopt.rendering.backend import Backend
from invopt.rendering.bindings import Binding
from invopt.rendering.bindings.layout import check_claims
from invopt.rendering.pictures.targets import as_target

__all__ = ["BACKENDS", "as_bindings", "as_sensors", "as_targets", "as_variants"]

BACKENDS = tuple(backend.value for backend in Backend)


def as_targets(value: Any) -> tuple[Any, ...] | None:
    """Return one or several pictures as a tuple."""
    if value is None:
        return None
    given = value if _are_several(value) else [value]
    return tuple(item if isinstance(item, Photograph) else as_target(item) for item in given)


def _are_several(value: Any) -> bool:
    """Whether a list holds pictures and not the rows of one."""
    if not isinstance(value, list | tuple):
        return False
    if any(isinstance(item, str | Path | Photograph) or hasattr(item, "shape") for item in value):
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


def as_sensors(value: Any) -> tuple[int | str, ...]:
    """Return numbers or names of cameras; none means as many as there are targets."""
    if value is None or np.size(value) == 0:
        return ()
    given = [value] if isinstance(value, str) else np.atleast_1d(np.array(value, dtype=object)).tolist()
    sensors = tuple(item if isinstance(item, str) else as_integer("sensors", item) for item in given)
    sound = all(isinstance(item, str) or item >= 0 for item in sensors)
    require("sensors", sound, "names of cameras, or numbers from 0", value)
    return sensors


def as_variants(value: Any) -> tuple[dict[str, NDArray[np.float64]], ...]:
    """Return the state of each picture: the values of the parameters that differ."""
    if value is None:
        return ()
    rule = "a list of mappings of parameters to values, such as [{'lamp.emitter.radiance': 0}, {}]"
    if isinstance(value, Mapping) or not all(isinstance(state, Mapping) for state in value):
        raise TypeError(f"'variants' must be {rule}: {shown(value)}")
    return tuple({_as_key(key): _as_numbers(key, number) for key, number in state.items()} for state in value)


def _as_key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"'variants' must name parameters by text: {shown(key)}")
    return key


def _as_numbers(key: str, value: Any) -> NDArray[np.float64]:
    try:
        numbers = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"'variants' must give {key!r} numbers: {shown(value)}") from None
    require("variants", bool(np.isfinite(numbers).all()), f"finite for {key!r}", value)
    return numbers
