"""Small scenes with their unknown parameters."""

import numpy as np

from invopt import problems
from invopt.rendering import Color, Translation, Value, activate
from invopt.rendering.backend import two_threads
from invopt.rendering.descriptions import camera, diffuse, rgb

WIDTH, HEIGHT = 24, 16
TINY = [
    Translation("ball", axes="x", bounds=(-1, 1)),
    Color("ball.bsdf.reflectance"),
    Value("lamp.intensity", log=True),
]
ANSWER = {"ball.translation": 0.3, "ball.bsdf.reflectance": (0.2, 0.6, 0.3), "lamp.intensity": 9.0}
XML = f"""<scene version="3.0.0">
  <default name="width" value="{WIDTH}"/>
  <integrator type="path"><integer name="max_depth" value="3"/></integrator>
  <sensor type="perspective">
    <float name="fov" value="40"/>
    <transform name="to_world"><lookat origin="0, -3, 1" target="0, 0, 0" up="0, 0, 1"/></transform>
    <film type="hdrfilm"><integer name="width" value="$width"/><integer name="height" value="{HEIGHT}"/></film>
  </sensor>
  <bsdf type="twosided" id="paint"><bsdf type="diffuse"><rgb name="reflectance" value="0.8, 0.2, 0.1"/></bsdf></bsdf>
  <shape type="cube" id="box">
    <transform name="to_world"><scale value="0.4"/></transform>
    <ref id="paint"/>
  </shape>
  <shape type="rectangle">
    <transform name="to_world"><scale value="3"/><translate z="-0.4"/></transform>
    <bsdf type="diffuse">
      <texture type="bitmap" name="reflectance">
        <string name="filename" value="checks.exr"/><boolean name="raw" value="true"/>
      </texture>
    </bsdf>
  </shape>
  <emitter type="point" id="lamp">
    <point name="position" x="1" y="-2" z="3"/><rgb name="intensity" value="9, 9, 6"/>
  </emitter>
</scene>
"""


def room(width=WIDTH, height=HEIGHT):
    return {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": 3},
        "sensor": camera(origin=[0, -3, 1], target=[0, 0, 0], fov=40, width=width, height=height),
        "ball": {"type": "sphere", "radius": 0.5, "bsdf": diffuse(0.5, 0.5, 0.5)},
        "ground": {"type": "rectangle", "to_world": np.diag([4.0, 4, 1, 1]), "bsdf": diffuse(0.4, 0.4, 0.4)},
        "lamp": {"type": "point", "position": [1, -2, 3], "intensity": rgb(5.0, 5.0, 5.0)},
    }


def two_views():
    activate()
    second = camera(origin=[3, 0, 1], target=[0, 0, 0], fov=50, width=12, height=20)
    return room() | {"second": second}


def scene(description=room, parameters=TINY, **facts):
    return problems.Scene(description, parameters=parameters, **({"x_opt": ANSWER} | facts))


def write(path, picture):
    import mitsuba as mi

    bitmap = mi.Bitmap(picture)
    if path.suffix == ".png":
        bitmap = bitmap.convert(mi.Bitmap.PixelFormat.RGB, mi.Struct.Type.UInt8, srgb_gamma=True)
    with two_threads():
        bitmap.write(str(path))
