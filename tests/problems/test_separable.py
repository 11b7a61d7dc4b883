"""A panel on a wall: where it hangs and what is on it, from one picture."""

import numpy as np
import pytest

import invopt
from invopt import optimizers, problems
from invopt.rendering import Texels, Translation
from invopt.rendering.descriptions import camera, diffuse, rgb

pytestmark = pytest.mark.render

SIDE = 8


def panel():
    grey = np.full((SIDE, SIDE, 1), 0.4, dtype=np.float32)
    texture = {"type": "bitmap", "raw": True, "format": "variant", "wrap_mode": "clamp", "bitmap": grey}
    place = np.diag([0.6, 0.6, 1.0, 1.0])
    place[2, 3] = 0.05
    return {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": 3},
        "sensor": camera(origin=[0, 0, 4], target=[0, 0, 0], fov=40, width=32, height=32, up=(0, 1, 0)),
        "wall": {"type": "rectangle", "to_world": np.diag([4.0, 4, 1, 1]), "bsdf": diffuse(0.6, 0.6, 0.6)},
        "panel": {"type": "rectangle", "to_world": place, "bsdf": {"type": "diffuse", "reflectance": texture}},
        "lamp": {"type": "point", "position": [1.5, 1.5, 4], "intensity": rgb(12.0, 12.0, 12.0)},
        "sky": {"type": "constant", "radiance": 0.3},
    }


def test_a_panel_is_found_with_its_texture():
    painted = np.random.default_rng(1).uniform(0.1, 0.9, SIDE**2)
    problem = problems.Scene(
        panel,
        parameters=[
            Translation("panel", axes="xy", bounds=(-0.9, 0.9)),
            Texels("panel.bsdf.reflectance", bounds=(0, 1), name="texels"),
        ],
        x0={"panel.translation": (-0.2, 0.3)},
        x_opt={"panel.translation": (0.25, -0.2), "texels": painted},
        spp=8,
        reference_spp=256,
    )
    res = invopt.minimize(problem, rng=0, maxfev=60, progress=False)
    assert isinstance(res.method, optimizers.Separable)
    away = np.square(res.history["x"] - problem.x_opt)
    moves = away[:, :2].sum(1)
    reached = int(np.flatnonzero(moves < 0.01 * moves[0])[0])
    assert res.history["nfev"][reached] <= 20
    assert np.square(res.x - problem.x_opt)[:2].sum() < 1e-3 * moves[0]
    assert np.square(res.x - problem.x_opt)[2:].sum() < 0.3 * np.square(problem.x0 - problem.x_opt)[2:].sum()
