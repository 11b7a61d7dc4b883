"""Texels of an environment map: the columns that repeat others are no unknowns."""

import numpy as np
import pytest
import torch

from invopt import Status, minimize, problems
from invopt.exceptions import SceneError
from invopt.rendering import Texels
from invopt.rendering.descriptions import camera

ROWS, COLUMNS = 4, 8
PIXELS = np.random.default_rng(0).uniform(0.2, 0.8, (ROWS, COLUMNS, 3)).astype(np.float32)


def sky():
    """Four cameras in the middle of a sky look around the horizon."""
    views = {"sensor": [0, 0, -1], "left": [-1, 0, 0], "behind": [0, 0, 1], "right": [1, 0, 0]}
    cameras = {
        name: camera(origin=[0, 0, 0], target=target, fov=110, width=16, height=16, up=(0, 1, 0))
        for name, target in views.items()
    }
    return {"type": "scene", "integrator": {"type": "path"}, "sky": {"type": "envmap", "bitmap": PIXELS}} | cameras


def problem(binding=None, **facts):
    binding = Texels("sky.data") if binding is None else binding
    return problems.Scene(sky, parameters=binding, sensors=range(4), **({"x_opt": {}, "spp": 4} | facts))


@pytest.mark.render
def test_each_texel_is_one_unknown():
    made = problem()
    assert made.n == len(made.names) == PIXELS.size
    np.testing.assert_allclose(made.x0, PIXELS.ravel())
    assert made.names[:4] == ("sky.data[0,0,r]", "sky.data[0,0,g]", "sky.data[0,0,b]", "sky.data[0,1,r]")
    assert made.names[-1] == "sky.data[3,7,b]"


@pytest.mark.render
@pytest.mark.parametrize("shape", [None, (ROWS, COLUMNS, 3)], ids=["read", "given"])
def test_the_padding_repeats_the_other_side(shape):
    with problem(Texels("sky.data", shape=shape)).open() as live:
        x = torch.from_numpy(np.random.default_rng(1).uniform(0.2, 0.8, PIXELS.shape))
        before = live.image(PIXELS.astype(float).ravel(), seed=1)
        assert np.isfinite(live.image(x.numpy().ravel(), seed=1)).all()
        held = live._scene.live.values()["sky.data"]
        np.testing.assert_allclose(held[:, 1:-1], x, rtol=1e-6)
        np.testing.assert_allclose(held[:, 0], x[:, -1], rtol=1e-6)
        np.testing.assert_allclose(held[:, -1], x[:, 0], rtol=1e-6)
        # The scene as it is has the texels that the bitmap has.
        np.testing.assert_array_equal(live.image(PIXELS.astype(float).ravel(), seed=1), before)


@pytest.mark.render
def test_a_shape_that_counts_the_padding_is_refused():
    with pytest.raises(SceneError, match=r"has shape \(4, 8, 3\), not \(4, 10, 3\)"):
        problem(Texels("sky.data", shape=(ROWS, COLUMNS + 2, 3))).open()


@pytest.mark.render
def test_the_derivative_is_that_of_differences_at_the_seam_too():
    made = problem(x_opt=np.full(PIXELS.size, 0.5))
    x = torch.from_numpy(PIXELS.astype(float).ravel())
    # Red of the middle row: both texels at the seam, and one that is not.
    columns = [int(np.ravel_multi_index((1, j, 0), PIXELS.shape)) for j in (0, COLUMNS - 1, 3)]
    with made.open() as live:
        exact = live.value_and_jac(x, seed=3, spp=256)[1][columns]
        found = []
        for i in columns:
            shift = 0.02 * torch.eye(len(x), dtype=torch.float64)[i]
            pair = live.fun(torch.stack([x + shift, x - shift]), seed=np.array([3, 3]), spp=256)
            found.append(float(pair[0] - pair[1]) / 0.04)
    np.testing.assert_allclose(exact.numpy(), found, rtol=0.05)
    assert np.abs(found).min() > 1e-5


@pytest.mark.render
def test_a_sky_is_found_from_ramps():
    answer = np.random.default_rng(2).uniform(0.2, 0.8, PIXELS.size)
    found = minimize(problem(x_opt=answer, sigma=0.1), x0=np.full(PIXELS.size, 0.5), rng=0, maxfev=120)
    # Four ramps, because the sky is periodic; then the test, and a few random signs at most.
    assert found.history.nfev[0] == 5
    assert found.history.nfev[1] <= 6 + 8
    assert found.status in (Status.NOISE_FLOOR, Status.CONVERGED)
    rows = found.x.reshape(PIXELS.shape)[1:3]
    np.testing.assert_allclose(rows, answer.reshape(PIXELS.shape)[1:3], atol=0.05)
