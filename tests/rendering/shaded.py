"""A small room of everything that is recorded, for tests of shading."""

import numpy as np

from invopt.rendering import Color, Texels, Translation, Value
from invopt.rendering.descriptions import area_light, camera, diffuse, floor, look_at, rgb

SIZE = 16
BINDINGS = (
    Translation("ball", axes="x"),
    Texels("picture.bsdf.reflectance"),
    Texels("tiles.bsdf.reflectance"),
    Color("ball.bsdf.reflectance"),
    Color("paint.brdf_0.reflectance"),
    Value("box.bsdf.reflectance", bounds=(0, 1)),
    Color("lamp.emitter.radiance"),
    Color("bulb.intensity"),
    Value("spot.intensity", scale=1.0),
    Color("sun.irradiance"),
    Color("sky.radiance"),
)


def texture(pixels, **more):
    return {"type": "bitmap", "raw": True, "format": "variant", "bitmap": pixels.astype(np.float32)} | more


def room(depth=2, size=SIZE, **more):
    """A ball, a box, a picture and tiles on a two-sided floor, under five kinds of lights."""
    import mitsuba as mi

    rng = np.random.default_rng(0)
    place = np.eye(4) * [0.25, 0.25, 0.25, 1]
    place[:3, 3] = [0.6, 0.2, 0.25]
    hanging = np.array([[0.5, 0, 0, -0.7], [0, 0, -0.5, 0.9], [0, 0.5, 0, 0.5], [0, 0, 0, 1]])
    lying = np.array([[0.5, 0, 0, 0.3], [0, 0.4, 0, -0.9], [0, 0, 1, 0.02], [0, 0, 0, 1]])
    turned = mi.ScalarTransform3f([[2.0, 0.5, 0.1], [-0.5, 3.0, 0.2], [0, 0, 1.0]])
    tiles = texture(rng.uniform(0.1, 0.9, (3, 5, 3)), filter_type="nearest", wrap_mode="mirror", to_uv=turned)
    grey = {"type": "diffuse", "reflectance": {"type": "uniform", "value": 0.4}}
    return {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": depth},
        "sensor": camera(origin=[0, -3, 1.6], target=[0, 0, 0.3], fov=42, width=size, height=size),
        "ball": {"type": "sphere", "radius": 0.3, "center": [-0.2, 0, 0.3], "bsdf": diffuse(0.7, 0.2, 0.1)},
        "box": {"type": "cube", "to_world": place, "bsdf": grey},
        "picture": {
            "type": "rectangle",
            "to_world": hanging,
            "bsdf": {"type": "diffuse", "reflectance": texture(rng.uniform(0.1, 0.9, (4, 4, 1)))},
        },
        "tiles": {"type": "rectangle", "to_world": lying, "bsdf": {"type": "diffuse", "reflectance": tiles}},
        "paint": {"type": "twosided", "id": "paint", "front": diffuse(0.5, 0.5, 0.45)},
        "floor": floor({"type": "ref", "id": "paint"}, 4.0),
        "lamp": area_light(origin=[1.5, -1, 3], target=[0, 0, 0], half_width=0.5, radiance=9.0),
        "bulb": {"type": "point", "position": [-1.0, -1.0, 2.0], "intensity": rgb(2.0, 1.0, 1.0)},
        "spot": {
            "type": "spot",
            "to_world": look_at([0, -2, 3], [0, 0, 0], (0, 1, 0)),
            "intensity": rgb(2.0, 2.0, 1.0),
            "cutoff_angle": 30,
        },
        "sun": {"type": "directional", "direction": [1, 1, -2], "irradiance": rgb(0.5, 0.4, 0.3)},
        "sky": {"type": "constant", "radiance": rgb(0.1, 0.2, 0.3)},
    } | more
