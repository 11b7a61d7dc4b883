"""Priors, smoothness and fixed values of a scene's bindings."""

import math

import numpy as np
import pytest
import torch

from invopt import minimize, problems
from invopt.rendering import Color, Pose, Rotation, Texels, Translation, Value

from .rooms import room


def scene(*bindings, **more):
    given = {"x_opt": np.zeros(1), "noise_std": 0.01, "spp": 4, "reference_spp": 64} | more
    return problems.Scene(room, parameters=list(bindings), **given)


def rows(binding, size):
    found = binding.prior_rows(size, None)
    return found.matrix.toarray(), found.offsets


def test_priors_are_in_scene_units_and_logarithms():
    slopes, offsets = rows(Rotation("box", axis=[0, 0, 1], unit=20.0, prior=(40.0, 10.0)), 1)
    assert slopes[0, 0] == pytest.approx(2.0)
    assert offsets[0] == pytest.approx(4.0)
    slopes, offsets = rows(Value("lamp.emitter.radiance", log=True, prior=(9.0, 0.5)), 1)
    assert slopes[0, 0] == pytest.approx(2.0)
    assert offsets[0] == pytest.approx(2 * math.log(9.0))
    stds = [1.0, math.inf, 1.0, 10.0, 10.0, math.inf]
    slopes, _ = rows(Pose("box", unit=5.0, prior=(0.0, stds)), 6)
    assert slopes.tolist() == np.diag([1.0, 0, 1, 0.5, 0.5, 0])[[0, 2, 3, 4]].tolist()


@pytest.mark.parametrize("periodic", [False, True])
def test_smooth_texels_have_differences_of_neighbours(periodic):
    binding = Texels("picture.bsdf.reflectance", shape=(2, 3, 1), periodic=periodic, smooth=0.1)
    slopes, offsets = rows(binding, 6)
    x = np.array([0.0, 1, 3, 10, 20, 40])
    wanted = [1, 2, 10, 20, 10, 19, 37] + [-3, -30] * periodic
    assert sorted((slopes @ x - offsets).round(6).tolist()) == sorted(10.0 * each for each in wanted)


def test_bindings_that_need_a_noise_say_so():
    with pytest.raises(ValueError, match=r"the prior of 'box.translation' needs Scene\(..., noise_std=...\)"):
        scene(Translation("box", axes="x", prior=(0.0, 1.0)), noise_std=None)
    with pytest.raises(ValueError, match="'noise_std' must be left out for a loss that is no mean of squares"):
        scene(Translation("box", axes="x"), loss="l1")
    with pytest.raises(ValueError, match="'prior' must be numbers, or 1 numbers each"):
        Translation("box", axes="x", prior=([0.0, 1.0], 1.0))
    with pytest.raises(TypeError, match="'prior' must be a pair"):
        Translation("box", prior=0.3)
    with pytest.raises(ValueError, match="'smooth' must be > 0"):
        Texels("picture.bsdf.reflectance", smooth=0.0)


def test_priors_are_part_of_the_identity():
    kept = [scene(Translation("box", axes="x", prior=(0.0, std))).identity_content() for std in (1.0, 2.0)]
    assert kept[0]["problem"][1]["_parameters"] != kept[1]["problem"][1]["_parameters"]


@pytest.mark.parametrize("prior", [(0.1, 1e-4), None])
def test_fixed_and_known_parameters_of_a_scene(prior):
    problem = scene(
        Translation("box", axes="x", bounds=(-0.5, 0.5), prior=prior),
        Color("ball.bsdf.reflectance", fixed=True),
        x0=[0.0, 0.5, 0.4, 0.3],
        x_opt=[0.1, 0.5, 0.4, 0.3],
    )
    assert problem.bounds.lb[1:].tolist() == problem.bounds.ub[1:].tolist() == [0.5, 0.4, 0.3]
    found = minimize(problem, rng=0, maxfev=120)
    assert found.x[1:].tolist() == [0.5, 0.4, 0.3]
    assert found.x_standard_error[1:].tolist() == [0.0, 0.0, 0.0]
    assert found.x[0] == pytest.approx(0.1, abs=0.03)
    assert "| fixed |" in problem.table(found)
    if prior:
        assert found.x_standard_error[0] == pytest.approx(1e-4, rel=0.2)
        assert (found.fun_prior > 0) == (found.x[0] != 0.1)


def test_rows_of_a_prior_follow_the_pixels():
    problem = scene(Translation("box", axes="x", bounds=(-0.5, 0.5), prior=(0.2, 0.1)))
    with problem.open() as live:
        found = live.residuals(torch.tensor([[0.0]]), seed=np.zeros(1, dtype=np.int64))[0]
    m = len(found) - 1
    assert math.prod(live.image_shapes[0]) == m
    assert float(found[-1]) == pytest.approx(math.sqrt((m + 1) / m) * 0.01 * -2.0)
