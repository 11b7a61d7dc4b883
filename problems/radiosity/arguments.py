"""Scenes, cameras and boxes as users give them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invopt.exceptions import UnknownNameError, suggest
from invopt.plugin import as_integer, as_list, as_vector, require, shown
from invopt.rendering.reading.dictionaries import Description, as_description

from .scenes import NAMED

__all__ = ["as_box", "as_scene", "as_sensors", "description_of"]


def as_scene(value: Any) -> Description | str:
    """Return a name of ours, or what Mitsuba reads; raise if it is neither."""
    if isinstance(value, str):
        if value.lower() in NAMED:
            return value.lower()
        if Path(value).suffix.lower() != ".xml":
            raise UnknownNameError(f"unknown scene {shown(value)}; {suggest(value, NAMED)}")
    try:
        return as_description(value)
    except TypeError as error:
        raise TypeError(f"'scene' must be a name ({', '.join(NAMED)}) or else: {error}") from None


def description_of(scene: Description | str) -> Description:
    """Return what Mitsuba reads for a scene, which may be a name."""
    return NAMED[scene] if isinstance(scene, str) else scene


def as_sensors(value: Any) -> tuple[Any, ...] | None:
    """Cameras: numbers of the scene's, descriptions of others, or one of either."""
    if value is None:
        return None
    if isinstance(value, Mapping | int | np.integer):
        return (value,)
    found = tuple(as_list("sensors", value))
    require("sensors", bool(found), "at least one camera, or left out for all of the scene", value)
    for sensor in found:
        if not isinstance(sensor, Mapping):
            require("sensors", as_integer("sensors", sensor) >= 0, "numbers >= 0, or descriptions of cameras", value)
    return found


def as_box(value: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Lowest corner and size of a box, or None."""
    if value is None:
        return None
    try:
        low, extent = (np.array(as_vector("box", part, size=3)) for part in value)
    except (TypeError, ValueError):
        raise ValueError(f"'box' must be two vectors of 3 finite numbers, lowest corner and size: {value!r}") from None
    require("box", bool((extent > 0).all()), "of a size > 0", value)
    return low, extent
