"""Rays of cameras. Import with a backend active."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import drjit
import mitsuba

from invopt.exceptions import SceneError
from invopt.plugin import as_integer
from invopt.rendering.reading.dictionaries import live
from invopt.rendering.reading.loading import readable

__all__ = ["camera_of", "film_size", "rays"]

# Untyped, because their types depend on the variant.
dr: Any = drjit
mi: Any = mitsuba


def camera_of(scene: Any, sensor: Any) -> Any:
    """Return a camera of the scene by its number, or one by its description."""
    if isinstance(sensor, Mapping):
        with readable("cannot be seen by this camera"):
            camera = mi.load_dict(live(sensor, Path()))
        if not isinstance(camera, mi.Sensor):
            raise SceneError(f"'sensor' must describe a camera, such as {{'type': 'perspective', ...}}: {sensor!r}")
        return camera
    sensors = scene.sensors()
    sensor = as_integer("sensor", sensor)
    if not 0 <= sensor < len(sensors):
        raise SceneError(f"'sensor' must be below {len(sensors)}, the number of cameras of the scene: {sensor}")
    return sensors[sensor]


def film_size(camera: Any) -> tuple[int, int]:
    """Return width and height of a camera's pictures."""
    width, height = camera.film().crop_size()
    return int(width), int(height)


def rays(camera: Any, first: int, pixels: int, spp: int, sampler: Any, size: tuple[int, int] | None) -> tuple[Any, Any]:
    """Return rays through pixels from number `first`, and their weights.

    The pixel varies slowest.
    """
    width, height = size or film_size(camera)
    number = dr.arange(mi.UInt32, pixels * spp) // spp + first
    corner = mi.Vector2f(mi.Float(number % width), mi.Float(number // width))
    place = (corner + sampler.next_2d()) / mi.Vector2f(width, height)
    ray, weight = camera.sample_ray(camera.shutter_open(), sampler.next_1d(), place, sampler.next_2d())
    return ray, weight
