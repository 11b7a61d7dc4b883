"""
A scene of your own
===================

A scene, a picture, and three unknowns of different kinds: the position of a ball, its colour, the power of the lamp.
You declare them; the result has them by name, in the units of the scene.

It has no run file: its scene is a dictionary in Python. ``photograph/room.toml`` is one of a scene in an XML file.
"""

import os
import time

import matplotlib.pyplot as plt
import numpy as np

import invopt
from invopt import estimators, problems
from invopt.rendering import Color, Translation, Value
from invopt.rendering.pictures.display import to_display

TINY = os.environ.get("INVOPT_EXAMPLES") == "tiny"  # for the tests

# %%
# The scene is a dictionary of Mitsuba, or an XML file. A 4x4 array is a transform.

room = {
    "type": "scene",
    "integrator": {"type": "path", "max_depth": 4},
    "sensor": {
        "type": "perspective",
        "fov": 40,
        "to_world": np.array([[-1, 0, 0, 0], [0, 0.45, 0.893, -3.6], [0, 0.893, -0.45, 2.1], [0, 0, 0, 1]]),
        "film": {"type": "hdrfilm", "width": 64, "height": 48, "rfilter": {"type": "box"}},
    },
    "floor": {
        "type": "rectangle",
        "to_world": np.diag([5.0, 5.0, 1.0, 1.0]),
        "bsdf": {"type": "diffuse", "reflectance": {"type": "rgb", "value": [0.5, 0.45, 0.4]}},
    },
    "ball": {
        "type": "sphere",
        "radius": 0.5,
        "center": [0, 0, 0.5],
        "bsdf": {"type": "diffuse", "reflectance": {"type": "rgb", "value": [0.5, 0.5, 0.5]}},
    },
    "lamp": {"type": "point", "position": [1.5, -1.5, 3], "intensity": {"type": "rgb", "value": [5, 5, 5]}},
    "sky": {"type": "constant", "radiance": 0.1, "sampling_weight": 0.05},
}

# %%
# Usually the target is a photograph, ``target="photo.exr"``. Here it is rendered at a known answer, with another seed
# and many samples, so that the error can be measured.

answer = {"ball.translation": (-0.5, 0.3), "ball.bsdf.reflectance": (0.15, 0.5, 0.6), "lamp.intensity": 14.0}
problem = problems.Scene(
    room,
    parameters=[
        Translation("ball", axes="xy", bounds=(-1, 1)),
        Color("ball.bsdf.reflectance", scale=0.25),
        Value("lamp.intensity", log=True),
    ],
    x_opt=answer,
    spp=8,
)
print(problem.names)

# %%
# x has six columns: 12 pairs of samples in each iteration make the noise of the gradient small enough for all of them.
# The scale of a parameter sets the size of its samples and steps. The colour of one ball changes the picture little, so
# its scale is large.

began = time.perf_counter()
res = invopt.minimize(problem, estimators.SharedSamples(n_samples=12), rng=0, maxfev=100 if TINY else 1200)
print(f"{res.nfev} renders in {time.perf_counter() - began:.1f} s: {res.message}")
recovered = 1 - np.sqrt(problem.parameter_error(res.x) / problem.parameter_error(problem.x0))
for name, value in res.parameters.items():
    print(f"{name:24} found {np.round(value, 3)}, was {answer[name]}")
print(f"recovered to {100 * recovered:.1f} %")

# %%
# ``problem.save(res, "found.xml")`` writes the scene with the result.

with problem.open() as live:
    pictures = {
        "start": live.image(problem.x0, spp=64),
        "found": live.image(res.x, spp=64),
        "target": live.reference,
    }
figure, axes = plt.subplots(1, 3, figsize=(9, 2.6), layout="constrained")
for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
    ax.imshow(to_display(picture))
    ax.set_title(title)
    ax.axis("off")
plt.show()
