"""Scenes of the benchmark of rooms, those of which nobody tuned a setting included."""

import os
from pathlib import Path

import numpy as np

from invopt.problems.radiosity.scenes import both_sides, box, camera, cornell_box, gap_room, wall
from invopt.rendering.descriptions import diffuse, look_at, rgb

__all__ = ["SCENES", "UNSEEN"]

# On these no setting was chosen; they were made before the first run.
UNSEEN = ("windows", "gallery")
UP, DEEP = (0, 1, 0), (0, 0, 1)


def meadow():
    """The Cornell box on a ground of 400 x 400."""
    pose = look_at((0, -1.001, 0), (0, 0, 0), (0, 0, 1)) @ np.diag([200.0, 200.0, 1.0, 1.0])
    return cornell_box() | {"ground": {"type": "rectangle", "to_world": pose, "bsdf": diffuse(0.5, 0.5, 0.5)}}


def windows():
    """A room of two-sided walls, lit by a bluish sky through two windows; a table, a vase, a chequered floor."""
    white, warm = both_sides(diffuse(0.75, 0.75, 0.72)), both_sides(diffuse(0.6, 0.35, 0.2))
    chequers = {"type": "checkerboard", "color0": rgb(0.15, 0.12, 0.1), "color1": rgb(0.7, 0.65, 0.6)}
    chequers["to_uv"] = np.diag([6.0, 6.0, 1.0, 1.0])
    floor = both_sides({"type": "diffuse", "reflectance": chequers})
    scene = {
        "type": "scene",
        "sensor": camera((1.6, 0.1, 1.2), (-1.2, -0.35, -0.6), 64, fov=70),
        "sky": {"type": "constant", "radiance": rgb(6.0, 8.0, 11.0)},
        "floor": wall((0, -1, 0), UP, DEEP, (2, 1.5), floor),
        "ceiling": wall((0, 1, 0), (0, -1, 0), DEEP, (2, 1.5), white),
        "back": wall((0, 0, -1.5), DEEP, UP, (2, 1), white),
        "front": wall((0, 0, 1.5), (0, 0, -1), UP, (2, 1), white),
        "right": wall((2, 0, 0), (-1, 0, 0), UP, (1.5, 1), warm),
        # The left wall, around two windows of 0.6 x 0.9.
        "sill": wall((-2, -0.7, 0), (1, 0, 0), UP, (1.5, 0.3), white),
        "lintel": wall((-2, 0.75, 0), (1, 0, 0), UP, (1.5, 0.25), white),
        "pier_0": wall((-2, 0.05, -1.25), (1, 0, 0), UP, (0.25, 0.45), white),
        "pier_1": wall((-2, 0.05, 0), (1, 0, 0), UP, (0.4, 0.45), white),
        "pier_2": wall((-2, 0.05, 1.25), (1, 0, 0), UP, (0.25, 0.45), white),
        "table": box((-0.9, -0.5, -0.9), (0.5, -0.42, -0.1), diffuse(0.35, 0.2, 0.1)),
        "foot": box((-0.3, -1, -0.6), (-0.1, -0.5, -0.4), diffuse(0.35, 0.2, 0.1)),
    }
    plastic = {"type": "roughplastic", "alpha": 0.15, "diffuse_reflectance": rgb(0.1, 0.4, 0.3)}
    scene["vase"] = {"type": "sphere", "center": [-0.2, -0.2, -0.5], "radius": 0.22, "bsdf": plastic}
    return scene


def gallery():
    """A corridor around a corner: a spot on a red wall at its far end, a mirror, a glass ball, a brushed metal box."""
    white, red = both_sides(diffuse(0.7, 0.7, 0.7)), both_sides(diffuse(0.65, 0.12, 0.1))
    grey = both_sides(diffuse(0.4, 0.4, 0.42))
    silver = both_sides({"type": "conductor", "material": "Ag"})
    brushed = {"type": "roughconductor", "alpha": 0.25, "material": "Al"}
    return {
        "type": "scene",
        "sensor": camera((0.3, 0.1, 3.2), (0, -0.25, 0), 64, fov=60),
        "floor": wall((1.5, -1, 0.5), UP, DEEP, (2.5, 3), grey),
        "ceiling": wall((1.5, 1, 0.5), (0, -1, 0), DEEP, (2.5, 3), white),
        "left": wall((-1, 0, 0.5), (1, 0, 0), UP, (3, 1), white),
        "end": wall((1.5, 0, -2.5), DEEP, UP, (2.5, 1), white),
        "start": wall((1.5, 0, 3.5), (0, 0, -1), UP, (2.5, 1), white),
        # The corridor turns right behind this wall.
        "inner": box((1, -1, -0.9), (1.1, 1, 3.5), diffuse(0.7, 0.7, 0.7)),
        "far": wall((4, 0, 0.5), (-1, 0, 0), UP, (3, 1), red),
        "mirror": wall((-0.98, 0, -1.4), (1, 0, 0), UP, (0.6, 0.6), silver),
        "ball": {"type": "sphere", "center": [0.45, -0.7, 0.4], "radius": 0.3, "bsdf": {"type": "dielectric"}},
        "case": box((-0.7, -1, -0.3), (-0.2, -0.3, 0.3), brushed),
        "spot": {
            "type": "spot",
            "to_world": look_at((2.2, 0.8, -1.2), (4, -0.4, -1.6), UP),
            "intensity": rgb(90.0, 80.0, 65.0),
            "cutoff_angle": 40.0,
        },
    }


def stored(name):
    """A scene of INVOPT_DATA_DIR, or None."""
    path = Path(os.environ.get("INVOPT_DATA_DIR", ".")) / "scenes" / name / "scene.xml"
    return path if path.is_file() else None


SCENES = {
    "gap-room": gap_room,
    "cornell-box": cornell_box,
    "meadow": meadow,
    "door": stored("veach-ajar"),
    "hall": stored("staircase2"),
    "windows": windows,
    "gallery": gallery,
}
