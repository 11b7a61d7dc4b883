"""
Mitsuba's tutorials: textures, a sky, smoke
===========================================

More of Mitsuba's tutorials on inverse rendering, stated as scenes with unknowns: many numbers that shade the picture.
For textures and skies a few renders under ramps tell which pixel sees which texel, and so the whole Jacobian.

It has no run file: its scenes are dictionaries in Python.
"""

import os
import time

import matplotlib.pyplot as plt
import numpy as np

import invopt
from invopt import problems
from invopt.rendering import Numbers, Texels
from invopt.rendering.descriptions import camera, look_at, rgb
from invopt.rendering.pictures.display import to_display

TINY = os.environ.get("INVOPT_EXAMPLES") == "tiny"  # for the tests
SPP = 4 if TINY else 16
RNG = np.random.default_rng(0)


def solve(problem, maxfev):
    """Solve a problem; print and draw what was found."""
    began = time.perf_counter()
    res = invopt.minimize(problem, rng=0, maxfev=8 if TINY else maxfev)
    left = np.sqrt(problem.parameter_error(res.x) / problem.parameter_error(problem.x0))
    print(
        f"{problem.n} unknowns, {res.nfev} renders in {time.perf_counter() - began:.1f} s: {100 * left:.1f} % of the "
        f"error are left"
    )
    with problem.open() as live:
        pictures = {"start": live.image(problem.x0), "found": live.image(res.x), "target": live.reference}
    _, axes = plt.subplots(1, 3, figsize=(8, 8 / 3 * pictures["target"].shape[0] / pictures["target"].shape[1] + 0.4))
    for ax, (name, picture) in zip(axes, pictures.items(), strict=True):
        ax.imshow(to_display(picture))
        ax.set_title(name)
        ax.axis("off")
    plt.show()
    return res


# %%
# Two textures at once
# --------------------
# Floor and wall have textures of 8 x 8 texels in three colours: 384 unknowns. Light goes from one to the other, which
# the Jacobian of a few renders does not have; evaluations that follow correct it.


def painted():
    """Material with a grey texture."""
    bitmap = {"type": "bitmap", "bitmap": np.full((8, 8, 3), 0.5, np.float32), "raw": True, "filter_type": "nearest"}
    return {"type": "diffuse", "reflectance": bitmap}


corner = {
    "type": "scene",
    "integrator": {"type": "path", "max_depth": 3},
    "sensor": camera(origin=[0, -3, 2], target=[0, 0, 0.4], fov=52, width=48, height=48),
    "floor": {"type": "rectangle", "bsdf": painted()},
    "wall": {"type": "rectangle", "to_world": look_at([0, 1, 1], [0, -1, 1], (0, 0, 1)), "bsdf": painted()},
    "lamp": {"type": "point", "position": [0, -2, 3], "intensity": rgb(30.0, 30.0, 30.0)},
}
textures = problems.Scene(
    corner,
    parameters=[Texels("floor.bsdf.reflectance.data"), Texels("wall.bsdf.reflectance.data")],
    x_opt=RNG.uniform(0.1, 0.9, 384),
    spp=SPP,
)
solve(textures, 60)

# %%
# A sky
# -----
# An environment map, seen in a mirror ball. Its texels form a grid without a seam.

mirrored = {
    "type": "scene",
    "integrator": {"type": "path", "max_depth": 3},
    "sensor": camera(origin=[0, 0, 4], target=[0, 0, 0], fov=30, width=48, height=48, up=(0, 1, 0)),
    "ball": {"type": "sphere", "bsdf": {"type": "conductor"}},
    "sky": {"type": "envmap", "bitmap": np.full((4, 8, 3), 0.5, np.float32)},
}
sky = problems.Scene(mirrored, parameters=Texels("sky.data"), x_opt=RNG.uniform(0.2, 0.8, 96), spp=SPP)
solve(sky, 72)

# %%
# Smoke
# -----
# The density of smoke in a grid of 2 x 2 x 2 cells, from three oblique views against a bright background. Views along
# the axes of the grid would not tell all cells: of the sums along its 12 lines, 7 are independent.

CELLS = 2


def smoke():
    """Smoke in a cube, and three cameras."""
    import mitsuba as mi

    density = {
        "type": "gridvolume",
        "grid": mi.VolumeGrid(np.full((CELLS, CELLS, CELLS, 1), 0.5, np.float32)),
        "use_grid_bbox": False,
        "filter_type": "nearest",
        "to_world": mi.ScalarTransform4f().translate([-0.5, -0.5, -0.5]),
    }
    cube = {"type": "cube", "to_world": np.diag([0.5, 0.5, 0.5, 1.0]), "bsdf": {"type": "null"}}
    medium = {"type": "heterogeneous", "sigma_t": density, "albedo": 0.1, "scale": 2.0}
    places = {"front": [1.2, -3.5, 1.4], "right": [3.4, 1.6, -1.3], "top": [-1.7, 1.1, 3.3]}
    cameras = {
        name: camera(origin=place, target=[0, 0, 0], fov=25, width=24, height=24) for name, place in places.items()
    }
    return {
        "type": "scene",
        "integrator": {"type": "volpath", "max_depth": 4},
        "smoke": cube | {"interior": medium},
        "background": {"type": "constant", "radiance": 1.0},
        **cameras,
    }


volume = problems.Scene(
    smoke,
    parameters=Numbers("smoke.interior_medium.sigma_t.data", bounds=(0, 2)),
    sensors=["front", "right", "top"],
    x_opt=RNG.uniform(0.1, 1.5, CELLS**3),
    spp=SPP if TINY else 64,
    reference_spp=32 if TINY else 4096,
)
res = solve(volume, 60)
_, ax = plt.subplots(figsize=(4, 3.6), layout="constrained")
ax.plot(volume.x_opt, res.x, "o")
ax.plot([0, 1.6], [0, 1.6], color="0.7")
ax.set(xlabel="density", ylabel="found")
plt.show()
