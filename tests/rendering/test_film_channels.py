"""Cameras of luminance, and films whose channels no target has."""

import numpy as np
import pytest
import torch

import invopt
from invopt import problems
from invopt.exceptions import SceneError
from invopt.rendering import Color, Value

from .rooms import SIZE
from .targets import LUMINANCE, PICTURE, filming, reference, scene, write


@pytest.mark.render
@pytest.mark.parametrize("pixels", ["luminance", "luminance_alpha"])
def test_a_film_of_luminance_compares_luminance(pixels):
    film = filming(pixel_format=pixels)
    for target in (LUMINANCE, LUMINANCE[:, :, None], PICTURE):
        found = reference(target, film)
        assert found.shape == (SIZE, SIZE)
        np.testing.assert_allclose(found, LUMINANCE, rtol=1e-5)
    with scene(PICTURE).open() as color, scene(LUMINANCE, film).open() as grey:
        taken = color.image([0.1], seed=1, spp=4) @ [0.212671, 0.715160, 0.072169]
        np.testing.assert_allclose(grey.image([0.1], seed=1, spp=4), taken, rtol=1e-4, atol=1e-6)
        x = torch.tensor([[0.1]], dtype=torch.float64)
        residuals = grey.residuals(x, seed=np.array([1]))
        assert residuals.shape == (1, SIZE * SIZE)
        assert grey.fun(x, seed=np.array([1])).item() == pytest.approx(residuals.square().mean().item(), rel=1e-5)


@pytest.mark.render
def test_a_lamp_is_found_by_its_luminance():
    """A film of luminance must not be replaced by RGB: the lamp was then ten times too dim."""
    film = filming(pixel_format="luminance")
    parameters = Value("bulb.intensity", log=True)
    truth = problems.Scene(film, parameters=parameters, x_opt={"bulb.intensity": 5.0}, reference_spp=256)
    with truth.open() as live:
        photo = live.reference
    problem = problems.Scene(film, parameters=parameters, target=photo)
    res = invopt.minimize(problem, rng=0, maxfev=60)
    assert res.parameters["bulb.intensity"] == pytest.approx(5.0, rel=0.02)


@pytest.mark.render
def test_a_grey_target_of_a_camera_of_color_is_refused(tmp_path):
    advice = "one channel, but the camera takes red, green and blue: give its film pixel_format 'luminance'"
    for grey in (PICTURE[:, :, 0], PICTURE[:, :, :1], write(tmp_path / "grey.exr", PICTURE[:, :, :1])):
        with pytest.raises(SceneError, match=advice):
            scene(grey).open()
    with scene(PICTURE).open() as live, pytest.raises(SceneError, match=advice):
        live.set_target(PICTURE[:, :, 0])


@pytest.mark.render
@pytest.mark.parametrize("pixels", ["xyz", "xyza", "cmyk"])
def test_films_of_other_channels_are_refused(pixels):
    with pytest.raises(SceneError, match=f"pixel_format '{pixels}', which no target has: use one of rgb"):
        scene(PICTURE, filming(pixel_format=pixels)).open()


@pytest.mark.render
def test_a_color_seen_by_a_camera_of_luminance_has_a_derivative():
    problem = problems.Scene(
        filming(pixel_format="luminance"), parameters=Color("ball.bsdf.reflectance"), x_opt=[0.2, 0.6, 0.3], spp=64
    )
    if invopt.rendering.active().value == "scalar":
        pytest.skip("the scalar backend has no derivative")
    x = torch.tensor([0.5, 0.4, 0.6], dtype=torch.float64)
    steps = 0.02 * torch.eye(3, dtype=torch.float64)
    with problem.open() as live:
        exact = torch.stack([live.value_and_jac(x, seed=s)[1] for s in range(12)])
        found = []
        for s in range(12):
            pairs = [live.fun(torch.stack([x + step, x - step]), seed=np.array([s, s])) for step in steps]
            found.append(torch.stack([-pair.diff()[0] / 0.04 for pair in pairs]))
        difference = torch.stack(found)
    # Five standard errors of the two means; the loss is a square, so that differences of its values are exact.
    error = torch.sqrt((exact.var(0) + difference.var(0)) / 12)
    assert ((exact.mean(0) - difference.mean(0)).abs() <= 5 * error + 1e-6).all()
    assert (exact.mean(0).abs() > 10 * error).all()
