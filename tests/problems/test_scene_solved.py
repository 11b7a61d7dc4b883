"""Scenes from INVOPT_DATA_DIR are solved."""

import math
import os
from pathlib import Path

import pytest
import torch

import invopt
from invopt import estimators, optimizers, problems
from invopt.rendering import Backend, Custom, Rotation, active

SCENES = Path(os.environ.get("INVOPT_DATA_DIR", "nowhere")) / "scenes"


needs_scenes = pytest.mark.skipif(not SCENES.is_dir(), reason="INVOPT_DATA_DIR names no folder with scenes/")


def all_lights(x):
    """The thirteen lamps of Hall are alike; x is the logarithm of their radiance."""
    names = ["shape", *(f"shape_{number}" for number in range(2, 14))]
    return {f"{name}.emitter.radiance": torch.exp(x).expand(3) for name in names}


@pytest.mark.render
@needs_scenes
def test_the_door_is_found_ajar():
    problem = problems.Scene(
        SCENES / "veach-ajar" / "scene.xml",
        parameters=Rotation("Door", axis=(0, 1, 0), center=(-2.79, 0, -4.68), bounds=(-40, 40)),
        x0={"Door.rotation": 12.0},
        x_opt={"Door.rotation": -12.0},
        variables={"resx": 32, "resy": 18, "max_depth": 7},
        spp=64,
        reference_spp=2048,
    )
    res = invopt.minimize(problem, rng=1000, maxfev=60)
    assert abs(res.parameters["Door.rotation"] + 12.0) < 0.05 * 24


@pytest.mark.render
@needs_scenes
def test_the_light_of_the_hall_is_found():
    # A loss of noisy pictures favours a dim light, which makes less noise; Autodiff's gradient has no such bias.
    problem = problems.Scene(
        SCENES / "staircase2" / "scene.xml",
        parameters=Custom("light", function=all_lights, x0=[0.0], scale=0.5),
        x_opt=[math.log(4.0)],
        variables={"resx": 24, "resy": 24, "max_depth": 5},
        reference_spp=1024,
    )
    if active() is Backend.SCALAR:
        pytest.skip("the scalar backend has no derivative")
    adam = optimizers.Adam(lr=invopt.Exponential(start=0.3, factor=0.93))
    res = invopt.minimize(problem, estimators.Autodiff(), adam, rng=0, maxiter=40)
    assert abs(res.parameters["light"] - math.log(4.0)) < 0.05 * math.log(4.0)
