"""Small scenes for tests."""

import numpy as np

from invopt.rendering.descriptions import area_light, camera, diffuse, floor

SIZE = 24


def room(depth=3, size=SIZE):
    """A ball, a box, a cube and a picture on a floor, under two lights."""
    place = np.eye(4) * [0.25, 0.25, 0.25, 1]
    place[:3, 3] = [0.6, 0.2, 0.25]
    pixels = np.linspace(0.1, 0.9, 16, dtype=np.float32).reshape(4, 4, 1)
    texture = {"type": "bitmap", "raw": True, "format": "variant", "bitmap": pixels}
    hanging = np.array([[0.5, 0, 0, -0.7], [0, 0, -0.5, 0.9], [0, 0.5, 0, 0.5], [0, 0, 0, 1]])
    return {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": depth},
        "sensor": camera(origin=[0, -3, 1.6], target=[0, 0, 0.3], fov=42, width=size, height=size),
        "ball": {"type": "sphere", "radius": 0.3, "center": [-0.2, 0, 0.3], "bsdf": diffuse(0.7, 0.2, 0.1)},
        "box": {"type": "cube", "to_world": place, "bsdf": diffuse(0.2, 0.6, 0.3)},
        "picture": {"type": "rectangle", "to_world": hanging, "bsdf": {"type": "diffuse", "reflectance": texture}},
        "paint": {"type": "twosided", "id": "paint", "front": diffuse(0.5, 0.5, 0.45)},
        "floor": floor({"type": "ref", "id": "paint"}, 4.0),
        "lamp": area_light(origin=[1.5, -1, 3], target=[0, 0, 0], half_width=0.5, radiance=9.0),
        "bulb": {
            "type": "point",
            "position": [-1.0, -1.0, 2.0],
            "intensity": {"type": "rgb", "value": [2.0, 1.0, 1.0]},
        },
    }
