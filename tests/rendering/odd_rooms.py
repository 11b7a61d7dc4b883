"""Parts of unusual scenes."""

import numpy as np

from invopt import problems
from invopt.rendering import Custom, Translation, activate
from invopt.rendering.descriptions import camera, rgb

from .rooms import room

BOX = Translation("box", axes="x", bounds=(-1, 1))
SUN = {"type": "directional", "direction": [0, 0, -1], "irradiance": rgb(1.0, 1.0, 1.0)}
SKY = {"type": "envmap", "bitmap": np.random.default_rng(0).random((4, 8, 3)).astype(np.float32)}
SECOND = camera(origin=[0, -3, 1], target=[0, 0, 0], fov=40, width=8, height=8)
CORNERS = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])


def with_(**objects):
    return room() | objects


def textured(**texture):
    surface = {"type": "diffuse", "reflectance": {"type": "bitmap", "raw": True} | texture}
    return with_(picture={"type": "rectangle", "bsdf": surface})


def smoke():
    activate()
    import mitsuba as mi

    grid = mi.VolumeGrid(np.random.default_rng(0).random((3, 3, 3, 1)).astype(np.float32))
    medium = {"type": "heterogeneous", "albedo": 0.8, "sigma_t": {"type": "gridvolume", "grid": grid}}
    cube = {"type": "cube", "bsdf": {"type": "null"}, "interior": medium}
    return with_(smoke=cube, integrator={"type": "volpath", "max_depth": 3})


def setting(key, value):
    return Custom("c", function=lambda x: {key: value(x) if callable(value) else value}, x0=[1.0])


def scene(description=room, parameters=BOX, **facts):
    return problems.Scene(description, parameters=parameters, **({"x_opt": {}, "spp": 1, "reference_spp": 1} | facts))
