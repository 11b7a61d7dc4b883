"""Scenes in which something moves and something shades, with random starts."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from invopt import problems
from invopt.rendering import Color, Rotation, Texels, Translation
from invopt.rendering.descriptions import area_light, camera, diffuse, floor, rgb

TEXELS = 32


class Case(NamedTuple):
    """A problem, and how far from the answer its runs start in each column that moves, in units of `x_scale`."""

    problem: Callable[[], problems.Scene]
    spread: float


def bitmap(pixels, **more):
    return {"type": "bitmap", "raw": True, "format": "variant", "wrap_mode": "clamp", "bitmap": pixels} | more


def pattern(side=TEXELS, bright=0.0):
    """Waves, checks and a disc; `bright` of the left columns are as bright as the wall."""
    y, x = (grid[..., None] for grid in np.mgrid[0:side, 0:side] / side)
    texels = 0.5 + 0.22 * np.sin(6 * np.pi * x) * np.cos(4 * np.pi * y)
    texels += 0.2 * (((4 * x).astype(int) + (4 * y).astype(int)) % 2 - 0.5)
    texels += 0.15 * ((x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.06)
    texels[:, : int(bright * side)] = 0.6
    return np.clip(texels, 0.05, 0.95).astype(np.float32)


def grey(side=TEXELS):
    return np.full((side, side, 1), 0.4, dtype=np.float32)


def panel(depth=3, size=64):
    """A textured panel in front of a wall, under a lamp and a sky."""
    return {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": depth},
        "sensor": camera(origin=[0, 0, 4], target=[0, 0, 0], fov=40, width=size, height=size, up=(0, 1, 0)),
        "wall": {"type": "rectangle", "to_world": np.diag([4.0, 4, 1, 1]), "bsdf": diffuse(0.6, 0.6, 0.6)},
        "panel": {
            "type": "rectangle",
            "to_world": np.diag([0.6, 0.6, 1, 1]) + np.array([[0] * 4, [0] * 4, [0, 0, 0, 0.05], [0] * 4]),
            "bsdf": {"type": "diffuse", "reflectance": bitmap(grey())},
        },
        "lamp": area_light(origin=[1.5, 1.5, 4], target=[0, 0, 0], half_width=0.5, radiance=14.0),
        "sky": {"type": "constant", "radiance": 0.3},
    }


def hung(bright=0.0):
    answer = {"panel.translation": [0.25, -0.2], "texels": pattern(bright=bright).ravel()}
    unknown = [
        Translation("panel", axes="xy", bounds=(-0.9, 0.9)),
        Texels("panel.bsdf.reflectance", bounds=(0, 1), name="texels"),
    ]
    return problems.Scene(panel, parameters=unknown, x_opt=answer, spp=16, reference_spp=1024)


def cube():
    """A cube with a texture on all of its faces, from two sides."""
    place = np.diag([0.5, 0.5, 0.5, 1.0])
    place[2, 3] = 0.5
    view = {"fov": 36, "width": 48, "height": 48}
    return {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": 3},
        "left": camera(origin=[-2.6, -2.6, 2.2], target=[0, 0, 0.4], **view),
        "right": camera(origin=[2.6, -2.6, 2.2], target=[0, 0, 0.4], **view),
        "cube": {"type": "cube", "to_world": place, "bsdf": {"type": "diffuse", "reflectance": bitmap(grey())}},
        "floor": floor(diffuse(0.5, 0.45, 0.4), 5.0),
        "lamp": area_light(origin=[1, -2, 4], target=[0, 0, 0], half_width=0.6, radiance=12.0),
        "sky": {"type": "constant", "radiance": 0.4},
    }


def turned():
    answer = {"cube.translation": [0.2, -0.15], "cube.rotation": 15.0, "texels": pattern().ravel()}
    unknown = [
        Translation("cube", axes="xy", bounds=(-0.8, 0.8)),
        Rotation("cube", axis=[0, 0, 1], bounds=(-60, 60)),
        Texels("cube.bsdf.reflectance", bounds=(0, 1), name="texels"),
    ]
    return problems.Scene(cube, parameters=unknown, x_opt=answer, sensors=["left", "right"], spp=16, reference_spp=1024)


def object_(sky):
    """A ball on a box, which casts shadows on a floor."""
    place = np.diag([0.35, 0.35, 0.25, 1.0])
    place[2, 3] = 0.25
    return {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": 3},
        "sensor": camera(origin=[0, -4, 3], target=[0, 0, 0.2], fov=42, width=64, height=64),
        "box": {"type": "cube", "to_world": place, "bsdf": diffuse(0.7, 0.3, 0.2)},
        "floor": floor(diffuse(0.5, 0.5, 0.5), 5.0),
        "sky": sky,
    }


def under_lamp():
    lamp = area_light(origin=[1.5, -1, 3.5], target=[0, 0, 0], half_width=0.5, radiance=10.0)
    answer = {
        "box.translation": [0.4, 0.3],
        "box.rotation": 20.0,
        "floor.bsdf.reflectance": [0.3, 0.5, 0.6],
        "lamp.emitter.radiance": [14.0, 12.0, 9.0],
        "sky.radiance": [0.2, 0.3, 0.5],
    }
    unknown = [
        Translation("box", axes="xy", bounds=(-1, 1)),
        Rotation("box", axis=[0, 0, 1], bounds=(-45, 45)),
        Color("floor.bsdf.reflectance"),
        Color("lamp.emitter.radiance"),
        Color("sky.radiance"),
    ]
    sky = {"type": "constant", "radiance": rgb(0.4, 0.4, 0.4)}
    return problems.Scene(
        lambda: object_(sky) | {"lamp": lamp}, parameters=unknown, x_opt=answer, spp=16, reference_spp=1024
    )


def under_sky():
    pixels = np.full((8, 16, 3), 0.5, dtype=np.float32)
    rng = np.random.default_rng(7)
    found = rng.uniform(0.1, 0.9, (8, 16, 3))
    found[1:3, 3:5] += 3.0
    answer = {"box.translation": [0.4, 0.3], "sky": found.ravel()}
    unknown = [Translation("box", axes="xy", bounds=(-1, 1)), Texels("sky.data", name="sky")]
    sky = {
        "type": "envmap",
        "bitmap": pixels,
        "to_world": np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]),
    }
    return problems.Scene(lambda: object_(sky), parameters=unknown, x_opt=answer, spp=16, reference_spp=1024)


CASES = {
    "panel": Case(hung, 1.5),
    "panel, a side as bright as the wall": Case(lambda: hung(0.3), 1.5),
    "cube, two views": Case(turned, 1.5),
    "box; floor, lamp, sky": Case(under_lamp, 1.5),
    "box, sky of 8x16": Case(under_sky, 1.5),
}
