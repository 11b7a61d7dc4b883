"""Parts of scene dictionaries in plain Python and numpy; no backend is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["area_light", "camera", "diffuse", "floor", "look_at", "rgb", "scale"]


def look_at(origin: Sequence[float], target: Sequence[float], up: Sequence[float]) -> NDArray[np.float64]:
    """4x4 pose at `origin`, with the z axis towards `target` and the y axis upwards."""
    place = np.asarray(origin, dtype=np.float64)
    ahead = np.asarray(target) - place
    ahead = ahead / np.linalg.norm(ahead)
    left = np.cross(up, ahead)
    left = left / np.linalg.norm(left)
    pose = np.eye(4)
    pose[:3] = np.stack([left, np.cross(ahead, left), ahead, place], axis=1)
    return pose


def scale(factor: float) -> NDArray[np.float64]:
    """4x4 matrix of a uniform scaling."""
    return np.diag([factor, factor, factor, 1.0])


def rgb(*value: float) -> dict[str, Any]:
    """Colour as Mitsuba takes it."""
    return {"type": "rgb", "value": list(value)}


def diffuse(*value: float) -> dict[str, Any]:
    """Diffuse material."""
    return {"type": "diffuse", "reflectance": rgb(*value)}


def floor(bsdf: dict[str, Any], half_width: float = 20.0) -> dict[str, Any]:
    """Square ground at z = 0."""
    return {"type": "rectangle", "to_world": scale(half_width), "bsdf": bsdf}


def camera(
    *,
    origin: list[float],
    target: list[float],
    fov: float,
    width: int,
    height: int,
    up: tuple[float, float, float] = (0, 0, 1),
) -> dict[str, Any]:
    """Upright perspective camera; its box filter keeps pixels independent."""
    return {
        "type": "perspective",
        "fov": fov,
        "fov_axis": "larger",
        "to_world": look_at(origin, target, up),
        "film": {
            "type": "hdrfilm",
            "width": width,
            "height": height,
            "rfilter": {"type": "box"},
            "pixel_format": "rgb",
            "component_format": "float32",
        },
        "sampler": {"type": "independent"},
    }


def area_light(
    *,
    origin: list[float],
    target: list[float],
    half_width: float,
    radiance: float,
    weight: float = 1.0,
    up: tuple[float, float, float] = (0, 0, 1),
) -> dict[str, Any]:
    """Square light that faces a point.

    `weight` is how often it is sampled, relative to other lights.
    """
    facing = look_at(origin, target, up)
    return {
        "type": "rectangle",
        "to_world": facing @ scale(half_width),
        "emitter": {"type": "area", "radiance": rgb(radiance, radiance, radiance), "sampling_weight": weight},
    }
