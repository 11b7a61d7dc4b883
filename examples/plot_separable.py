"""
Where the picture hangs and what is on it
=========================================

A picture hangs on a wall, somewhere, and nobody knows what it shows. One photograph has to tell both: two numbers of
its place, and all of its texels.

The place moves things and needs a search. The texels only shade: what each of them does to the photograph is booked
while the light paths are traced, and they are solved for at every place that is tried.

It has no run file: its scene and its photograph are made in Python.
"""

import os

import matplotlib.pyplot as plt
import numpy as np

import invopt
from invopt import problems
from invopt.rendering import Texels, Translation
from invopt.rendering.descriptions import area_light, camera, diffuse
from invopt.rendering.pictures.display import to_display

TINY = os.environ.get("INVOPT_EXAMPLES") == "tiny"  # for the tests
SIDE, SIZE = (8, 24) if TINY else (32, 64)

# %%
# The picture of the start is grey. That of the photograph has waves, checks and a disc.

y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
painted = 0.5 + 0.22 * np.sin(6 * np.pi * x) * np.cos(4 * np.pi * y)
painted += 0.2 * (((4 * x).astype(int) + (4 * y).astype(int)) % 2 - 0.5) + 0.15 * (
    (x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.06
)
painted = painted.clip(0.05, 0.95)


def room():
    """A picture in front of a wall, under a lamp and a sky."""
    grey = np.full((SIDE, SIDE, 1), 0.4, dtype=np.float32)
    texture = {"type": "bitmap", "raw": True, "format": "variant", "wrap_mode": "clamp", "bitmap": grey}
    place = np.diag([0.6, 0.6, 1.0, 1.0])
    place[2, 3] = 0.05
    return {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": 3},
        "sensor": camera(origin=[0, 0, 4], target=[0, 0, 0], fov=40, width=SIZE, height=SIZE, up=(0, 1, 0)),
        "wall": {"type": "rectangle", "to_world": np.diag([4.0, 4, 1, 1]), "bsdf": diffuse(0.6, 0.6, 0.6)},
        "picture": {"type": "rectangle", "to_world": place, "bsdf": {"type": "diffuse", "reflectance": texture}},
        "lamp": area_light(origin=[1.5, 1.5, 4], target=[0, 0, 0], half_width=0.5, radiance=14.0),
        "sky": {"type": "constant", "radiance": 0.3},
    }


problem = problems.Scene(
    room,
    parameters=[
        Translation("picture", axes="xy", bounds=(-0.9, 0.9)),
        Texels("picture.bsdf.reflectance", bounds=(0, 1), name="texels"),
    ],
    x0={"picture.translation": (-0.3, 0.3)},
    x_opt={"picture.translation": (0.25, -0.2), "texels": painted.ravel()},
    spp=16,
    reference_spp=64 if TINY else 1024,
)
res = invopt.minimize(problem, rng=0, maxfev=20 if TINY else 90, progress=False)
print(res.choice)
print(f"{res.nfev} evaluations, place {res.parameters['picture.translation'].round(3)}, answer (0.25, -0.2)")

# %%
# Could a texture imitate what a shift does? Here it imitates little: the frame of the picture and its shadow move too.

if res.identifiability is not None:
    for name, share in zip(res.identifiability.names, res.identifiability.share, strict=True):
        print(f"{name}: {share:.0%} of its effect is its own")

# %%
# From left to right: the start, the answer, the target, and the texels that were found.

with problem.open() as live:
    pictures = [live.image(problem.x0), live.image(res.x), live.reference]
found = np.repeat(res.parameters["texels"].reshape(SIDE, SIDE, 1), 3, axis=2)
figure, axes = plt.subplots(1, 4, figsize=(11, 3), layout="constrained")
for axis, picture, title in zip(axes, [*pictures, found], ["start", "answer", "target", "texels found"], strict=True):
    axis.imshow(to_display(np.asarray(picture, dtype=np.float32)))
    axis.set_title(title)
    axis.axis("off")
plt.show()
