"""Scenes by name, as dictionaries for Mitsuba.

With a backend active, or a variant of Mitsuba set, their poses are Mitsuba's transforms, as `mitsuba.load_dict` needs
them; else arrays.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from invopt.rendering.descriptions import diffuse, look_at, rgb
from invopt.rendering.reading.dictionaries import live
from invopt.rendering.values import renderer

__all__ = ["NAMED", "both_sides", "box", "camera", "cornell_box", "furnace", "gap_room", "glossy_plates", "wall"]


def cornell_box(width: int = 128) -> dict[str, Any]:
    """Mitsuba's Cornell box; a backend must be active."""
    scene: dict[str, Any] = renderer().cornell_box()
    scene["sensor"]["film"]["width"] = scene["sensor"]["film"]["height"] = width
    return scene


def gap_room(width: int = 128, roughness: float = 0.15) -> dict[str, Any]:
    """Room that is lit through a gap, so that most light is indirect.

    The room is [-1, 1]^3 with a ball of rough gold and a box of rough blue plastic. The lamp is in a chamber beyond
    x = 1, behind a green partition with a gap under the ceiling.

    Parameters
    ----------
    width : int, default 128
        Pixels on a side.
    roughness : float, default 0.15
        Roughness of the ball.
    """
    white, red = diffuse(0.8, 0.8, 0.8), diffuse(0.7, 0.15, 0.1)
    plastic = {"type": "roughplastic", "alpha": 0.1, "diffuse_reflectance": rgb(0.1, 0.2, 0.6)}
    up = (0.0, 1.0, 0.0)
    scene = {
        "type": "scene",
        "sensor": camera((-0.55, 0.1, 0.97), (0.15, -0.25, -0.3), width),
        "floor": wall((0.5, -1, 0), (0, 1, 0), (0, 0, 1), (1.5, 1), white),
        "ceiling": wall((0.5, 1, 0), (0, -1, 0), (0, 0, 1), (1.5, 1), white),
        "back": wall((0.5, 0, -1), (0, 0, 1), up, (1.5, 1), white),
        "front": wall((0.5, 0, 1), (0, 0, -1), up, (1.5, 1), white),
        "left": wall((-1, 0, 0), (1, 0, 0), up, (1, 1), red),
        "right": wall((2, 0, 0), (-1, 0, 0), up, (1, 1), white),
        "partition": box((1, -1, -1), (1.02, 0.55, 1), diffuse(0.2, 0.6, 0.2)),
        "ball": {
            "type": "sphere",
            "center": [0.1, -0.6, -0.2],
            "radius": 0.4,
            "bsdf": {"type": "roughconductor", "alpha": roughness, "material": "Au"},
        },
        "box": box((-0.75, -1, -0.75), (-0.25, -0.2, -0.25), plastic),
        "lamp": {
            **wall((1.5, -0.6, 0), (0, 1, 0), (0, 0, 1), (0.4, 0.5), both_sides(diffuse(0.5, 0.5, 0.5))),
            "emitter": {"type": "area", "radiance": rgb(28.0, 25.0, 19.0)},
        },
    }
    return _for_mitsuba(scene)


def glossy_plates(width: int = 128) -> dict[str, Any]:
    """Four plates of increasing roughness that reflect four lamps of equal power.

    The lamps differ in size. The scene is that of Veach and Guibas for multiple importance sampling, as in figure 7 of
    the semi-gradient paper: neither BSDF sampling nor emitter sampling alone has little noise everywhere.
    """
    scene: dict[str, Any] = {
        "type": "scene",
        "sensor": camera((0, 1.0, 6.5), (0, 0.6, 0), width, fov=36),
        "floor": wall((0, -0.6, 0), (0, 1, 0), (0, 0, 1), (4, 4), diffuse(0.4, 0.4, 0.4)),
        "back": wall((0, 2, -2.5), (0, 0, 1), (0, 1, 0), (4, 2.6), diffuse(0.4, 0.4, 0.4)),
    }
    for i, roughness in enumerate((0.02, 0.05, 0.12, 0.3)):
        place = np.array([0.0, -0.4 + 0.22 * i, 1.6 - 0.7 * i])
        half_way = _unit(_unit(np.array([0, 2.2, -1.5]) - place) + _unit(np.array([0, 1.0, 6.5]) - place))
        metal = {"type": "roughconductor", "alpha": roughness, "material": "Al"}
        scene[f"plate_{i}"] = wall(place, half_way, (0, 0, 1), (1.5, 0.28), both_sides(metal))
    for i, radius in enumerate((0.4, 0.2, 0.1, 0.05)):
        colour = np.array([(1.0, 0.7, 0.5), (1.0, 1.0, 0.6), (0.6, 1.0, 0.7), (0.6, 0.7, 1.0)][i])
        scene[f"lamp_{i}"] = {
            "type": "sphere",
            "center": [-1.5 + i, 2.2, -1.5],
            "radius": radius,
            "emitter": {"type": "area", "radiance": rgb(*(0.6 * colour / radius**2).tolist())},
        }
    return _for_mitsuba(scene)


def furnace(albedo: float = 0.8, emission: float = 1.0) -> dict[str, Any]:
    """Inside of a diffuse emitting sphere; the radiance is emission / (1 - albedo)."""
    scene = {
        "type": "scene",
        "sensor": camera((0, 0, 0), (0, 0, 1), 16),
        "sphere": {
            "type": "sphere",
            "flip_normals": True,
            "bsdf": diffuse(albedo, albedo, albedo),
            "emitter": {"type": "area", "radiance": rgb(emission, emission, emission)},
        },
    }
    return _for_mitsuba(scene)


NAMED: dict[str, Callable[[], dict[str, Any]]] = {
    "cornell-box": cornell_box,
    "gap-room": gap_room,
    "glossy-plates": glossy_plates,
    "furnace": furnace,
}


def camera(origin: Any, target: Any, width: int, fov: float = 60.0) -> dict[str, Any]:
    """Return a camera with a square film."""
    return {
        "type": "perspective",
        "fov": fov,
        "near_clip": 0.01,
        "to_world": look_at(origin, target, (0, 1, 0)),
        "film": {"type": "hdrfilm", "width": width, "height": width, "rfilter": {"type": "box"}},
    }


def wall(middle: Any, facing: Any, up: Any, half_widths: Any, bsdf: dict[str, Any]) -> dict[str, Any]:
    """Return a one-sided rectangle: no points are drawn on its back."""
    pose = look_at(middle, np.add(middle, facing).tolist(), up)
    return {"type": "rectangle", "to_world": pose @ np.diag([*half_widths, 1.0, 1.0]), "bsdf": bsdf}


def box(low: Any, high: Any, bsdf: dict[str, Any]) -> dict[str, Any]:
    """Return a closed one-sided box.

    No points are drawn on its inside, because the field would be too dark around thin walls.
    """
    low, high = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    pose = np.diag([*(high - low) / 2, 1.0])
    pose[:3, 3] = (low + high) / 2
    return {"type": "cube", "to_world": pose, "bsdf": bsdf}


def both_sides(bsdf: dict[str, Any]) -> dict[str, Any]:
    """Return a BSDF for both sides of a surface."""
    return {"type": "twosided", "bsdf": bsdf}


def _for_mitsuba(scene: dict[str, Any]) -> dict[str, Any]:
    """Return the scene with poses as transforms, once Mitsuba has types for them."""
    if "mitsuba" not in sys.modules or renderer().variant() is None:
        return scene
    made: dict[str, Any] = live(scene, Path())
    return made


def _unit(vector: Any) -> Any:
    return vector / np.linalg.norm(vector)
