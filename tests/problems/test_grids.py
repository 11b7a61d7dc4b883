"""Grids of problems: bad ones are refused, and scenes have one for each texture."""

import numpy as np
import pytest

from invopt import problems
from invopt.plugin import Grid, check_grids
from invopt.rendering import Color, Texels

from .tiny_scenes import room

SQUARES = np.arange(12).reshape(3, 4)


def function(n=12, **options):
    facts = {"residuals": True, "sparse": True} | options
    return problems.Function(fun=lambda x: x, x0=np.zeros(n), **facts)


def textured():
    grey = {"type": "bitmap", "raw": True, "bitmap": np.full((3, 5, 3), 0.5, dtype=np.float32)}
    sky = {"type": "envmap", "bitmap": np.full((4, 8, 3), 0.5, dtype=np.float32)}
    described = room()
    ground = described["ground"] | {"bsdf": {"type": "diffuse", "reflectance": grey}}
    return described | {"ground": ground, "sky": sky}


def test_a_grid_keeps_indices_by_row_column_and_channel():
    assert Grid(SQUARES).shape == (3, 4, 1)
    assert Grid(np.arange(24).reshape(3, 4, 2).tolist(), periodic=True).shape == (3, 4, 2)
    given = SQUARES.copy()
    grid = Grid(given)
    given[:] = 0
    assert grid.indices[2, 3, 0] == 11


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([1, 2, 3], r"'indices' must be integers of shape \(rows, columns\)"),
        ([[0.5, 1.0]], "'indices' must be integers"),
        (np.zeros((0, 3), dtype=int), "'indices' must be integers"),
        ([[-1, 0]], "'indices' must be >= 0"),
        ([[0, 1], [1, 2]], "'indices' must be different from each other"),
    ],
)
def test_bad_indices_are_refused(indices, message):
    with pytest.raises(ValueError, match=message):
        Grid(indices)


def test_periodic_is_a_flag():
    with pytest.raises((TypeError, ValueError), match="periodic"):
        Grid(SQUARES, periodic="yes")


def test_grids_must_fit_the_parameters():
    assert function(grids=Grid(SQUARES)).grids[0].shape == (3, 4, 1)
    assert function().grids == ()
    with pytest.raises(ValueError, match="'grids' must be of indices below n = 11"):
        function(11, grids=[Grid(SQUARES)])
    with pytest.raises(ValueError, match="'grids' must be without a parameter in common"):
        function(grids=[Grid(SQUARES), Grid([[11]])])
    with pytest.raises(TypeError, match="'grids' must be Grid objects"):
        check_grids([SQUARES], 12)


def never():
    raise AssertionError("the scene was read")


def test_a_texture_of_known_shape_is_a_grid_without_reading_the_scene():
    first = Texels("ground.bsdf.reflectance", shape=(3, 5, 3), bounds=(0, 1))
    second = Texels("sky.data", shape=(4, 8, 3), periodic=True, bounds=(0, 9))
    problem = problems.Scene(never, parameters=[first, second], x_opt=np.ones(141))
    assert [(grid.shape, grid.periodic) for grid in problem.grids] == [((3, 5, 3), False), ((4, 8, 3), True)]
    np.testing.assert_array_equal(problem.grids[1].indices.ravel(), np.arange(45, 141))
    assert problem.sparse


@pytest.mark.render
def test_texels_are_grids_and_other_parameters_are_not():
    color, texels = Color("ball.bsdf.reflectance"), Texels("ground.bsdf.reflectance")
    problem = problems.Scene(textured, parameters=[color, texels, Texels("sky.data")], x_opt={})
    assert [(grid.shape, grid.periodic) for grid in problem.grids] == [((3, 5, 3), False), ((4, 8, 3), True)]
    assert problem.grids[0].indices.min() == 3
    assert problem.n == 3 + 45 + 96


def test_the_texels_of_the_task_are_a_grid():
    assert problems.Texture().grids[0].shape == (32, 32, 1)
    three = problems.Texture(channels=3)
    assert three.grids[0].shape == (32, 32, 3)
    assert three.n == three.x_opt.size == three.starts(np.random.default_rng(0), 2).shape[1] == 3072
    # Channels differ, and the first is the grey one.
    np.testing.assert_array_equal(three.x_opt.reshape(-1, 3)[:, 0], problems.Texture().x_opt)
    assert np.abs(three.x_opt.reshape(-1, 3).std(1)).mean() > 0.05
    with pytest.raises(ValueError, match="'channels' must be 1 or 3"):
        problems.Texture(channels=2)
