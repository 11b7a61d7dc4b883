"""
Mitsuba's tutorials: a colour, a pose, a shape
==============================================

The first tutorials of Mitsuba on inverse rendering, stated as scenes with unknowns. There, each one has a loop of its
own, with the derivative of the renderer; here, each one is a few lines, and needs renders alone. The targets are
rendered with another seed.

It has no run file: its scenes are dictionaries in Python.
"""

import os
import time

import matplotlib.pyplot as plt
import numpy as np

import invopt
from invopt import problems
from invopt.rendering import Color, Displacements, Mesh, Rotation, Translation
from invopt.rendering.descriptions import area_light, camera, diffuse
from invopt.rendering.meshes import join
from invopt.rendering.pictures.display import to_display

TINY = os.environ.get("INVOPT_EXAMPLES") == "tiny"  # for the tests
SIZE, SPP = (16, 4) if TINY else (48, 16)


def solve(problem, x0=None, rng=0, maxfev=80):
    """Solve a problem; print what was found, and what is true."""
    began = time.perf_counter()
    start = problem.x0 if x0 is None else x0
    res = invopt.minimize(problem, x0=start, rng=rng, maxfev=10 if TINY else maxfev)
    left = np.sqrt(problem.parameter_error(res.x) / problem.parameter_error(start))
    print(f"{res.nfev} renders in {time.perf_counter() - began:.1f} s: {100 * left:.1f} % of the error are left")
    return res


def show(problem, res, title):
    """Draw start, answer and target."""
    with problem.open() as live:
        pictures = {"start": live.image(problem.x0), "found": live.image(res.x), "target": live.reference}
    _, axes = plt.subplots(1, 3, figsize=(8, 8 / 3 * pictures["target"].shape[0] / pictures["target"].shape[1] + 0.4))
    for ax, (name, picture) in zip(axes, pictures.items(), strict=True):
        ax.imshow(to_display(picture))
        ax.set_title(f"{title}: {name}")
        ax.axis("off")
    plt.show()


# %%
# A colour
# --------
# The left wall of the Cornell box is blue at the start. Mitsuba's own scene, as a function because its parts need an
# active backend. ``x_opt={}`` is the scene as it is.


def cornell_box():
    """Mitsuba's Cornell box."""
    import mitsuba as mi

    description = mi.cornell_box()
    description["sensor"]["film"] |= {"width": SIZE, "height": SIZE}
    return description


wall = problems.Scene(
    cornell_box,
    parameters=Color("red.reflectance"),
    x0={"red.reflectance": (0.01, 0.2, 0.9)},
    x_opt={},
    spp=SPP,
)
res = solve(wall)
print("found", np.round(res.parameters["red.reflectance"], 3), "was", np.round(wall.x_opt, 3))
show(wall, res, "colour")

# %%
# A pose
# ------
# A block has moved and turned. For the edges that move with it, derivatives of a renderer need special integrators;
# renders do not. First from the tutorial's start, 25 degrees off and without bounds, under six seeds; then from six
# random points of a box.


def cuboid(low, high):
    """Mesh of a cuboid, with four vertices on each side."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)
    sides = np.array([(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])
    vertices = np.asarray(low) + corners[sides.ravel()] * np.subtract(high, low)
    faces = (4 * np.arange(6)[:, None, None] + np.array([[0, 1, 2], [0, 2, 3]])).reshape(-1, 3)
    return Mesh(vertices=vertices, faces=faces, uv=np.tile([[0.0, 0], [1, 0], [1, 1], [0, 1]], (6, 1)))


block = join(cuboid((-0.4, -0.4, -0.2), (0.4, -0.1, 0.2)), cuboid((-0.4, -0.1, -0.2), (-0.1, 0.5, 0.2)))
behind = np.diag([2.5, 2.5, 1.0, 1.0])
behind[2, 3] = -1.0
studio = {
    "type": "scene",
    "integrator": {"type": "path", "max_depth": 3},
    "sensor": camera(origin=[0, 0, 4], target=[0, 0, 0], fov=40, width=SIZE, height=SIZE, up=(0, 1, 0)),
    "wall": {"type": "rectangle", "to_world": behind, "bsdf": diffuse(0.5, 0.5, 0.5)},
    "block": {"type": "ply", "filename": block, "bsdf": diffuse(0.7, 0.4, 0.2)},
    "lamp": area_light(origin=[2, 3, 4], target=[0, 0, 0], half_width=0.5, radiance=25.0, up=(0, 1, 0)),
    "sky": {"type": "constant", "radiance": 0.2},
}


def pose(bounds, angles, **facts):
    """The block, with bounds or without."""
    unknown = [Translation("block", axes="xy", bounds=bounds), Rotation("block", axis=(0, 1, 0), bounds=angles)]
    return problems.Scene(studio, parameters=unknown, x_opt={}, spp=SPP, **facts)


free = pose(None, None, x0={"block.translation": (0.1, -0.25), "block.rotation": 25.0})
found = [solve(free, rng=seed) for seed in range(1 if TINY else 6)]
show(free, found[0], "pose")

boxed = pose((-1, 1), (-90, 90))
for seed in range(0 if TINY else 6):
    start = np.random.default_rng(seed).uniform(boxed.bounds.lb, boxed.bounds.ub)
    solve(boxed, x0=start, rng=seed)

# %%
# A shape
# -------
# A ball has become a potato, seen by two cameras. The unknowns are factors of displacements of all vertices: a basis
# of your own, here spherical harmonics of low order. Six numbers move 561 vertices, and no mesh tears.

theta, phi = np.meshgrid(np.linspace(0, np.pi, 17), np.linspace(0, 2 * np.pi, 33), indexing="ij")
out = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1).reshape(-1, 3)
index = np.arange(theta.size).reshape(theta.shape)
corner, right, below, across = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
ball = Mesh(
    vertices=0.5 * out,
    faces=np.stack([corner, below, across, corner, across, right], axis=-1).reshape(-1, 3),
    uv=np.stack([phi / (2 * np.pi), theta / np.pi], axis=-1).reshape(-1, 2),
)
x, y, z = out.T
harmonics = [np.ones_like(x), x * y, y * z, 3 * z**2 - 1, x * z, x**2 - y**2]
basis = np.stack([factor[:, None] * out for factor in harmonics])
modelled = {
    "type": "scene",
    "integrator": {"type": "path", "max_depth": 3},
    "sensor": camera(origin=[0, -3, 1], target=[0, 0, 0], fov=30, width=SIZE, height=SIZE),
    "side": camera(origin=[3, 0, 1], target=[0, 0, 0], fov=30, width=SIZE, height=SIZE),
    "ball": {"type": "ply", "filename": ball, "bsdf": diffuse(0.6, 0.6, 0.6)},
    "lamp": area_light(origin=[2, -3, 4], target=[0, 0, 0], half_width=0.5, radiance=25.0),
    "sky": {"type": "constant", "radiance": 0.2},
}
shape = problems.Scene(
    modelled,
    parameters=Displacements("ball", basis=basis, bounds=(-0.2, 0.2)),
    sensors=["sensor", "side"],
    x_opt=[-0.05, 0.12, -0.1, 0.05, 0.08, -0.12],
    spp=SPP,
)
res = solve(shape, maxfev=120)
print("found", np.round(res.x, 3), "was", shape.x_opt)
show(shape, res, "shape")
