"""Properties of all rendered tasks, and of each alone."""

import logging
import math
import pickle

import attrs
import numpy as np
import pytest
import torch
from scipy import ndimage

import invopt
from invopt import problems
from invopt.core.objective import Capability
from invopt.core.registry import find
from invopt.exceptions import SceneError
from invopt.rendering import data

TASKS = [problems.Bunny, problems.Mug, problems.Shadow, problems.Texture]
SEED = np.array([7])


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """Use the procedural rabbit, also where the scanned mesh is available."""
    monkeypatch.setattr(data, "find_mesh", lambda name: (None, "by order of the tests"))


@pytest.mark.parametrize("cls", TASKS)
def test_description_is_small_and_says_what_it_is(cls):
    problem = cls()
    assert len(pickle.dumps(problem)) < 2000
    assert problem.names
    assert len(pickle.dumps(problem)) < 2000
    expected = Capability.FUN | Capability.RESIDUALS | Capability.JAC | Capability.TARGET
    # Texels only shade.
    assert problem.provides == (expected | Capability.SHADING if cls is problems.Texture else expected)
    starts = problem.starts(np.random.default_rng(0), 50)
    assert starts.shape == (50, problem.n)
    assert problem.parameter_error(problem.x_opt) == 0
    assert all(problem.parameter_error(start) > 1e-3 for start in starts)
    assert problem.wrap(starts[0] - starts[1]).shape == (problem.n,)
    assert find("problems", cls.__name__.lower()) is cls


@pytest.mark.parametrize("cls", TASKS)
def test_sizes(cls):
    for size, (width, height, spp) in cls.sizes.items():
        problem = cls(size=size)
        assert (*problem.resolution, problem.samples) == (width, height, spp)
    assert set(cls.sizes) == {"tiny", "default", "paper"}
    changed = attrs.evolve(cls(), height=20, spp=2)
    assert (changed.resolution[1], changed.samples) == (20, 2)
    for fields, message in (({"size": "huge"}, "'size' must be one of"), ({"spp": 0}, "'spp' must be >= 1")):
        with pytest.raises(ValueError, match=message):
            cls(**fields)


@pytest.mark.render
@pytest.mark.parametrize("cls", TASKS)
def test_pictures_are_finite_and_the_answer_is_the_best(cls):
    problem = cls(size="tiny")
    points = np.vstack([problem.x_opt, problem.starts(np.random.default_rng(0), 3)])
    with problem.open() as live:
        assert np.isfinite(live.reference).all()
        assert live.reference.shape == (*problem.resolution[::-1], 3)
        values = live.fun(torch.from_numpy(points), seed=np.full(4, 7), spp=32)
        assert values.argmin() == 0
        assert values[1:].min() > 2 * values[0]
        assert live.fun(torch.from_numpy(points[:1]), seed=SEED) == live.fun(torch.from_numpy(points[:1]), seed=SEED)


@pytest.mark.render
@pytest.mark.parametrize("cls", [problems.Bunny, problems.Shadow, problems.Texture])
def test_the_smoothed_loss_decreases_towards_the_answer(cls):
    """The smoothed loss decreases along the line from every start to the answer."""
    problem = cls(size="tiny")
    rng = np.random.default_rng(0)
    # The same perturbations at every place, mirrored, so that differences between places are not those of luck.
    shifts = problem.sigma * problem.x_scale * rng.standard_normal((24, problem.n))
    shifts = np.concatenate([shifts, -shifts])
    seeds = np.tile(np.arange(24), 2) + 1
    with problem.open() as live:
        for start in problem.starts(rng, 2):
            means = []
            for t in (1.0, 0.75, 0.5, 0.25, 0.0):
                points = problem.x_opt + t * (start - problem.x_opt) + shifts
                if problem.bounds is not None:
                    points = points.clip(problem.bounds.lb, problem.bounds.ub)
                means.append(live.fun(torch.from_numpy(points), seed=seeds).mean().item())
            assert (np.diff(means) < 0).all(), means


@pytest.mark.render
def test_shadows_smoothed_landscape_has_one_valley():
    """Steepest descent on a grid ends next to the answer from every point."""
    problem = problems.Shadow(size="tiny")
    step = 0.1
    y, z = (np.arange(low, high + 1e-9, step) for low, high in zip(problem.bounds.lb, problem.bounds.ub, strict=True))
    grid = np.stack(np.meshgrid(y, z, indexing="ij"), axis=2)
    with problem.open() as live:
        values = live.fun(torch.from_numpy(grid.reshape(-1, 2)), seed=np.full(grid.size // 2, 7), spp=16).numpy()
    smooth = ndimage.gaussian_filter(values.reshape(grid.shape[:2]), problem.sigma / step, mode="nearest")
    lowest = smooth == ndimage.minimum_filter(smooth, size=3, mode="nearest")
    (valley,) = grid[lowest]
    assert np.abs(valley - problem.x_opt).max() < problem.sigma


@pytest.mark.render
def test_the_ball_is_out_of_the_picture_and_shadows_start_apart():
    problem = problems.Shadow(size="tiny")
    with problem.open() as live:
        pictures = [live.image(x, seed=1, spp=256).mean(2) for x in (problem.x0, problem.x_opt, problem.bounds.lb)]
    bare = np.max(pictures, axis=0)
    dark = [picture < 0.8 * bare for picture in pictures]
    assert not (dark[0] & dark[1]).any()
    for shadow in dark:
        assert shadow.sum() > 10
        edge = np.concatenate([shadow[0], shadow[-1], shadow[:, 0], shadow[:, -1]])
        assert not edge.any()


@pytest.mark.render
@pytest.mark.parametrize(("cls", "start"), [(problems.Shadow, 0), (problems.Bunny, 1)])
def test_solved_from_a_random_start(cls, start):
    problem = cls(size="tiny")
    rng = np.random.default_rng(start)
    x0 = problem.starts(rng, 1)[0]
    res = invopt.minimize(problem, x0=x0, rng=rng, maxfev=300)
    assert problem.parameter_error(res.x) < 0.01 * problem.parameter_error(x0)
    assert set(res.parameters) == {"place", "turn"} or set(res.parameters) == {"sphere.translation"}


@pytest.mark.render
def test_texture_holds_what_is_set():
    problem = problems.Texture(size="tiny")
    x = np.random.default_rng(0).uniform(0, 1, problem.n)
    with problem.open() as live:
        live.image(x)
        held = live._scene.live._params["picture.bsdf.reflectance.data"]
        np.testing.assert_allclose(np.array(held, dtype=float).ravel(), x, atol=1e-7)
        # Every texel is seen: none leaves the picture as it is.
        grey = live.image(np.full(problem.n, 0.5), spp=64, seed=1)
        for texel in (0, 31, 500, 992, 1023):
            x = np.full(problem.n, 0.5)
            x[texel] = 1.0
            assert np.abs(live.image(x, spp=64, seed=1) - grey).max() > 0.05


def test_bunny_is_looked_for_then_replaced(monkeypatch, tmp_path, caplog):
    monkeypatch.undo()
    monkeypatch.setattr("invopt.rendering.notes._logged", set())
    monkeypatch.setenv(data.ENVIRONMENT, str(tmp_path))
    monkeypatch.setattr(data, "_fetched", lambda name, why: (None, f"{why}, and the network is down"))
    with caplog.at_level(logging.WARNING, logger="invopt.rendering"):
        shape = data.bunny()
        data.bunny()
    (record,) = caplog.records
    assert "has no meshes/bunny_lowres.ply, and the network is down): a procedural rabbit" in record.message
    rabbit = shape["filename"]
    assert len(rabbit.faces) < 5000
    assert rabbit.vertices[:, 1].min() == pytest.approx(0, abs=0.03)
    assert rabbit.vertices[:, 1].max() == pytest.approx(1, abs=0.03)
    outwards = np.cross(*(rabbit.vertices[rabbit.faces[:, i]] - rabbit.vertices[rabbit.faces[:, 0]] for i in (1, 2)))
    volume = np.einsum("ij,ij->", rabbit.vertices[rabbit.faces[:, 0]], outwards) / 6
    assert volume > 0.1
    (tmp_path / "meshes").mkdir()
    (tmp_path / "meshes" / "bunny_lowres.ply").write_bytes(b"something else")
    with pytest.raises(SceneError, match="is another mesh: its sha256 is"):
        data.bunny()


@pytest.mark.parametrize("full", [False, True])
def test_bunny_itself(monkeypatch, full):
    monkeypatch.undo()
    monkeypatch.setattr(data, "_fetched", lambda name, why: (None, why))
    path, why = data.find_mesh("bunny.ply" if full else "bunny_lowres.ply")
    if path is None:
        pytest.skip(f"no Stanford bunny: {why}")
    shape = data.bunny(full=full)
    with problems.Bunny(size="tiny", full=full).open() as live:
        (box,) = [s.bbox() for s in live._scene.live._scene.shapes() if s.id() == "bunny"]
    low, high = np.array(box.min).ravel(), np.array(box.max).ravel()
    assert shape["filename"] == str(path)
    assert math.isclose(high[1] - low[1], 1, abs_tol=0.2)
    assert abs(low[1]) < 0.02
