"""Scenes, their targets and their unknowns: opened where Mitsuba renders, which is slow, so that there are few."""

import functools
import io
import uuid

import numpy as np
from damage import damaged
from PIL import Image
from values import odd, odd_like, told

import invopt
from invopt import problems, rendering
from invopt.rendering.descriptions import area_light, camera, diffuse, floor

_SIZE = 8
_XML = b"""<scene version="3.0.0"><integrator type="path"/><sensor type="perspective"><film type="hdrfilm">
<integer name="width" value="8"/><integer name="height" value="8"/></film></sensor><shape type="sphere" id="ball">
<bsdf type="diffuse"><rgb name="reflectance" value="0.8, 0.2, 0.1"/></bsdf></shape>
<emitter type="constant" id="sky"/></scene>"""
_KEYS = [
    "ball",
    "ball.bsdf.reflectance",
    "sky.radiance",
    "sensor",
    "floor",
    "lamp",
    "lamp.emitter.radiance",
    "nosuch",
    "",
]
_KINDS = [rendering.Value, rendering.Color, rendering.Translation, rendering.Scale, rendering.Pose, rendering.Texels]


def _scene():
    return {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": 2},
        "sensor": camera(origin=[0, -3, 1.6], target=[0, 0, 0.3], fov=42, width=_SIZE, height=_SIZE),
        "ball": {"type": "sphere", "radius": 0.3, "center": [-0.2, 0, 0.3], "bsdf": diffuse(0.7, 0.2, 0.1)},
        "floor": floor(diffuse(0.5, 0.5, 0.5), 4.0),
        "lamp": area_light(origin=[1.5, -1, 3], target=[0, 0, 0], half_width=0.5, radiance=9.0),
    }


@functools.cache
def _pictures(folder):
    """Bytes of sound pictures by suffix."""
    import mitsuba as mi

    rendering.activate(None)
    found = {}
    for suffix in ("png", "jpg", "bmp"):
        buffer = io.BytesIO()
        Image.new("RGB", (_SIZE, _SIZE), (90, 120, 30)).save(buffer, {"jpg": "JPEG"}.get(suffix, suffix.upper()))
        found[suffix] = buffer.getvalue()
    for suffix in ("exr", "hdr", "pfm"):
        path = folder / f"real.{suffix}"
        mi.Bitmap(np.full((_SIZE, _SIZE, 3), 0.5, np.float32)).write(str(path))
        found[suffix] = path.read_bytes()
    return found


def case(rng, folder):
    """One scene, with one thing odd."""
    given = {"scene": _scene(), "parameters": [rendering.Color("ball.bsdf.reflectance")], "spp": 1}
    given["target"] = np.full((_SIZE, _SIZE, 3), 0.25, np.float32)
    said = rng.choice([_odd_target, _odd_target, _odd_picture, _odd_picture, _odd_scene, _odd_xml, _odd_parameter])(
        rng, folder, given
    )
    return said, lambda: _solve(given)


def _solve(given):
    problem = problems.Scene(**given)
    return invopt.minimize(problem, rng=0, maxfev=3, maxtime=2.0, progress=False)


def _odd_target(rng, folder, given):
    shapes = [(_SIZE, _SIZE), (_SIZE, _SIZE, 4), (_SIZE, 4, 3), (1, 1, 3), (0, 0, 3), (3,), (2, _SIZE, _SIZE, 3)]
    values = [0.0, -1.0, np.nan, np.inf, 1e30, 1e-45]
    given["target"] = rng.choice(
        [np.full(rng.choice(shapes), 0.25), np.full((_SIZE, _SIZE, 3), rng.choice(values)), odd(rng)]
    )
    return f"target {told(given['target'])}"


def _odd_picture(rng, folder, given):
    suffix, data = rng.choice(sorted(_pictures(folder).items()))
    changed, how = damaged(rng, data)
    suffix = suffix if rng.random() < 0.8 else rng.choice(["png", "jpg", "exr", "hdr", "pfm", "tga", "txt", ""])
    path = folder / f"{uuid.uuid4().hex}.{suffix}"
    path.write_bytes(changed)
    given["target"] = path
    return f"picture .{suffix} {how}"


def _odd_scene(rng, folder, given):
    scene = given["scene"]
    holder, key = rng.choice(list(_nodes(scene)))
    if rng.random() < 0.3:
        del holder[key]
        return f"scene without {key!r}"
    holder[key] = rng.choice(
        [odd(rng), odd_like(rng, holder[key]), {"type": "nosuch"}, {"type": "ref", "id": "nosuch"}]
    )
    return f"scene with {key!r} {told(holder[key])}"


def _odd_xml(rng, folder, given):
    changed, how = damaged(rng, _XML)
    path = folder / f"{uuid.uuid4().hex}.xml"
    path.write_bytes(changed)
    given["scene"] = path
    return f"XML {how}"


def _odd_parameter(rng, folder, given):
    kind = rng.choice(_KINDS)
    fields = {"bounds": rng.choice([None, (0, 1), (-1, 1), (0.9, 0.95), (0.1, 0.1)])}
    if rng.random() < 0.3:
        fields[rng.choice(["scale", "name", "bounds"])] = odd(rng)
    key = rng.choice(_KEYS)
    said = f"{kind.__name__}({key!r}, {fields['bounds']!r}, {told(fields.get('scale'))})"
    given["parameters"] = _Late(lambda: kind(key, **fields))
    if rng.random() < 0.3:
        given[rng.choice(["x0", "x_opt", "loss", "sensors", "variables", "backend", "sigma"])] = odd(rng)
    return said


class _Late:
    """An iterable that makes its one item when it is asked for, so that what it raises is the case's."""

    def __init__(self, make):
        self._make = make

    def __iter__(self):
        return iter([self._make()])


def _nodes(value):
    for key, item in value.items():
        yield value, key
        if isinstance(item, dict):
            yield from _nodes(item)
