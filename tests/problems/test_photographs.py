"""Scenes are found from photographs that differ from renders."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

import invopt
from invopt.core.objective import Capability
from invopt.exceptions import SceneError
from invopt.rendering import Color, Photograph, Value
from invopt.rendering.descriptions import rgb
from invopt.report.tables import outcome_table

from .tiny_scenes import ANSWER, HEIGHT, TINY, WIDTH, room, scene, two_views

pytestmark = pytest.mark.render
TIMES = 3


def fine():
    return room(TIMES * WIDTH, TIMES * HEIGHT)


@pytest.fixture(scope="module")
def light():
    """The room at the answer, three times as fine as its film."""
    with scene(fine, reference_spp=256).open() as live:
        return live.reference.astype(np.float64)


def encoded(light):
    light = np.clip(light, 0, 1)
    return np.round(255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)).astype("u1")


def solved(target, **facts):
    problem = scene(target=target, x_opt=None, **facts)
    return problem, invopt.minimize(problem, rng=0, maxfev=60)


def assert_found(parameters):
    assert parameters["ball.translation"] == pytest.approx(ANSWER["ball.translation"], abs=0.02)
    assert parameters["ball.bsdf.reflectance"] == pytest.approx(ANSWER["ball.bsdf.reflectance"], abs=0.05)
    assert parameters["lamp.intensity"] == pytest.approx(ANSWER["lamp.intensity"], rel=0.05)


def test_a_saturated_png(light, tmp_path):
    """A bright photograph, of which a fifth is saturated."""
    white = np.quantile(light, 0.9)
    Image.fromarray(encoded(light / white)).save(tmp_path / "photo.png")
    assert 0.1 < (encoded(light / white) == 255).any(axis=2).mean() < 0.3
    _, res = solved(Photograph(tmp_path / "photo.png", exposure=1 / white))
    assert_found(res.parameters)


def test_a_jpeg_of_unknown_exposure(light, tmp_path):
    """The lamp is known then; its product with the exposure is what the photograph shows."""
    Image.fromarray(encoded(0.5 * light)).save(tmp_path / "photo.jpg", quality=85)
    known = room() | {"lamp": room()["lamp"] | {"intensity": rgb(9.0, 9.0, 9.0)}}
    problem = scene(
        known, parameters=TINY[:2], target=Photograph(tmp_path / "photo.jpg", exposure="unknown"), x_opt=None
    )
    res = invopt.minimize(problem, rng=0, maxfev=90)
    assert_found(res.parameters | {"lamp.intensity": 9.0})
    assert res.parameters["exposure"] == pytest.approx(0.5, rel=0.03)
    (found,) = problem.developed(res)
    assert abs(found.fitted["exposure"] - 0.5) < 6 * found.standard_error["exposure"] < 0.1
    assert res.parameter_errors["exposure"] == pytest.approx(found.standard_error["exposure"])
    assert set(res.parameter_errors) == set(res.parameters)
    errors = list(outcome_table(res, problem.x0).columns[3].cells)
    assert errors[problem.n] == f"{res.parameter_errors['exposure']:.2g}"
    assert f"| exposure | {res.parameters['exposure']:.5g} | {errors[problem.n]} |" in problem.table(res)
    assert found.picture.shape == found.render.shape == found.difference.shape == (HEIGHT, WIDTH, 3)


def test_something_in_front_is_masked_by_alpha(light, tmp_path):
    pixels = np.dstack([encoded(0.4 * light), np.full(light.shape[:2], 255, "u1")])
    pixels[:, : TIMES * 4] = (255, 0, 0, 0)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    _, res = solved(Photograph(tmp_path / "photo.png", exposure=0.4))
    assert_found(res.parameters)


def test_a_grey_photograph_of_a_film_of_colour(light):
    _, res = solved(Photograph(light @ [0.212671, 0.715160, 0.072169]), parameters=[TINY[0], TINY[2]])
    assert res.parameters["ball.translation"] == pytest.approx(0.3, abs=0.03)


def test_residuals_are_pictures_of_the_film_and_mean_squares():
    mask = np.ones((HEIGHT, WIDTH), bool)
    mask[:, :10] = False
    target = Photograph(np.full((HEIGHT, WIDTH, 3), 0.3), mask=mask, saturation=0.9)
    problem = scene(target=target, x_opt=None)
    x, seed = torch.from_numpy(problem.x0[None]), np.array([1])
    with problem.open() as live:
        assert live.image_shapes == ((HEIGHT, WIDTH, 3),)
        residuals = live.residuals(x, seed=seed)
        value, exact = live.fun(x, seed=seed).item(), residuals.square().mean().item()
        picture = residuals.reshape(HEIGHT, WIDTH, 3)
        assert (picture[:, :11] == 0).all()
        taken = live.image(problem.x0, seed=1)
    assert value == pytest.approx(exact, rel=1e-4)
    # The mean is that of the pixels that are compared, of a render that saturates as the photograph does.
    assert taken.max() <= 0.9
    assert exact == pytest.approx(float(np.square(taken[:, 11:] - 0.3).mean()), rel=1e-4)


def test_derivatives_pass_through_a_photograph():
    target = Photograph(np.full((HEIGHT, WIDTH, 3), 0.3), exposure="unknown", saturation=0.8)
    problem = scene(target=target, x_opt=None, parameters=Color("ball.bsdf.reflectance"), spp=32)
    if invopt.rendering.activate().value == "scalar":
        pytest.skip("the scalar backend has no derivative")
    x, step = torch.tensor([0.5, 0.4, 0.6], dtype=torch.float64), 0.05
    with problem.open() as live:
        exact = torch.stack([live.value_and_jac(x, seed=seed)[1] for seed in range(6)])
        found = []
        for seed in range(6):
            steps = step * torch.eye(3, dtype=torch.float64)
            values = live.fun(torch.cat([x + steps, x - steps]), seed=np.full(6, seed))
            found.append((values[:3] - values[3:]) / (2 * step))
        difference = torch.stack(found)
    # Five standard errors of the two means, and the curvature that a step of 0.05 sees.
    error = torch.sqrt((exact.var(0) + difference.var(0)) / 6)
    assert ((exact.mean(0) - difference.mean(0)).abs() <= 5 * error + 0.02 * difference.mean(0).abs()).all()


# Several views and states


def test_a_lamp_that_is_off_in_one_of_two_photographs():
    """The light of each lamp is found from a photograph without one of them."""
    lamps = room() | {"second": {"type": "point", "position": [-2, -2, 2], "intensity": rgb(3.0, 3.0, 3.0)}}
    variants = [{"lamp.intensity": 0}, {"second.intensity": 0.0}]
    parameters = [Value("lamp.intensity", log=True), Value("second.intensity", log=True)]
    answer = {"lamp.intensity": 9.0, "second.intensity": 1.0}
    problem = scene(lamps, parameters, x_opt=answer, variants=variants, spp=64)
    assert problem.sensors == (0, 0)
    x, seed = torch.from_numpy(problem.x_opt[None]), np.array([1])
    with problem.open() as live:
        first, second = np.split(live.reference, 2, axis=1)
        before = live.residuals(x, seed=seed)
        live.residuals(x + 0.5, seed=seed)
        assert torch.equal(live.residuals(x, seed=seed), before)
    with scene(lamps, parameters, x_opt=answer | {"second.intensity": 1e-9}).open() as live:
        np.testing.assert_allclose(second, live.reference, atol=1e-5)
    assert not np.allclose(first, second, rtol=0.2)
    res = invopt.minimize(problem, rng=0, maxfev=30)
    assert res.parameters["lamp.intensity"] == pytest.approx(9.0, rel=0.03)
    assert res.parameters["second.intensity"] == pytest.approx(1.0, rel=0.03)


def test_a_state_has_a_derivative():
    variants = [{"lamp.intensity": 20.0}, {}]
    problem = scene(parameters=[*TINY[1:]], variants=variants, x_opt={k: ANSWER[k] for k in list(ANSWER)[1:]}, spp=64)
    if invopt.rendering.activate().value == "scalar":
        pytest.skip("the scalar backend has no derivative")
    x, step = torch.from_numpy(problem.x0), 0.02
    with problem.open() as live:
        exact = torch.stack([live.value_and_jac(x, seed=seed)[1] for seed in range(8)])
        steps = step * torch.eye(4, dtype=torch.float64)
        found = []
        for seed in range(8):
            values = live.fun(torch.cat([x + steps, x - steps]), seed=np.full(8, seed))
            found.append((values[:4] - values[4:]) / (2 * step))
        difference = torch.stack(found)
    error = torch.sqrt((exact.var(0) + difference.var(0)) / 8)
    assert ((exact.mean(0) - difference.mean(0)).abs() <= 5 * error + 0.02 * difference.mean(0).abs()).all()


def test_cameras_by_name_and_weights():
    grey = [Photograph(np.full((HEIGHT, WIDTH, 3), 0.3), weight=3), Photograph(np.full((20, 12, 3), 0.3))]
    x, seed = torch.from_numpy(scene().x0[None]), np.array([1])
    values = []
    for target, sensors in ((grey, ["sensor", "second"]), (grey[:1], "sensor"), (grey[1:], ["second"])):
        with scene(two_views, target=target, sensors=sensors, x_opt=None).open() as live:
            values.append(live.fun(x, seed=seed).item())
            assert live.residuals(x, seed=seed).square().mean().item() == pytest.approx(values[-1], rel=1e-4)
    assert values[0] == pytest.approx((3 * values[1] + values[2]) / 4, rel=1e-5)
    with pytest.raises(SceneError, match="'sensors' names no camera 'secnd'; did you mean 'second'"):
        scene(two_views, sensors="secnd").open()


# What a problem with photographs says of itself


def test_a_photograph_belongs_to_the_identity(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 90, "u1")).save(path)

    def identity(**facts):
        return invopt.plugin.digest(scene(target=Photograph(path, **facts), x_opt=None).identity_content())

    first = identity()
    assert identity() == first
    assert identity(exposure=0.5) != first
    assert identity(mask=np.eye(HEIGHT, WIDTH)) != first
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 91, "u1")).save(path)
    assert identity() != first


def test_a_problem_with_a_photograph_is_pickled_and_shown():
    target = Photograph(np.full((HEIGHT, WIDTH, 3), 0.3), exposure="unknown", mask=np.ones((HEIGHT, WIDTH)))
    problem = pickle.loads(pickle.dumps(scene(target=target, x_opt=None)))
    size = f"array of shape ({HEIGHT}, {WIDTH}"
    assert repr(problem.target[0]) == f"Photograph({size}, 3), mask={size}), exposure='unknown')"
    assert Capability.TARGET not in problem.provides


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (
            {"loss": "l1"},
            "'loss' must be a mean of squares, such as 'huber', if the exposure of a photograph is fitted",
        ),
        ({"loss": lambda image, target: 0.0}, "'loss' must be a mean of squares"),
        ({"variants": {"lamp.intensity": 0}}, "'variants' must be a list of mappings"),
        ({"variants": [{"lamp.intensity": "off"}]}, "'variants' must give 'lamp.intensity' numbers"),
        ({"variants": [{"lamp.intensity": np.inf}]}, "'variants' must be finite for 'lamp.intensity'"),
        ({"variants": [{}, {}]}, "'target' must be 2 pictures|'variants' must be 1 states"),
    ],
)
def test_bad_input(facts, message):
    target = Photograph(np.full((HEIGHT, WIDTH, 3), 0.3), exposure="unknown")
    with pytest.raises((TypeError, ValueError), match=message):
        scene(target=target, x_opt=None, **facts)


def test_an_unknown_parameter_of_a_state():
    with pytest.raises(SceneError, match="lamp.intensty"):
        scene(variants=[{"lamp.intensty": 0}]).open()


def test_an_unknown_response_needs_the_mean_square():
    target = Photograph(np.full((HEIGHT, WIDTH, 3), 0.3), response="unknown")
    with pytest.raises(ValueError, match="'loss' must be 'mse' if the response of a photograph is unknown"):
        scene(target=target, x_opt=None, loss="huber")


def test_exposure_and_all_lamps_unknown():
    target = Photograph(np.full((HEIGHT, WIDTH, 3), 0.3), exposure="unknown")
    message = "do not tell {} and 'exposure' apart: only their products can be found; give the exposure"
    with pytest.warns(UserWarning, match=message.format("'lamp.intensity'")):
        scene(target=target, x_opt=None).open().close()
    colored = [Color("lamp.intensity", bounds=None)]
    with pytest.warns(UserWarning, match=message.format("'lamp.intensity.r', 'lamp.intensity.g', 'lamp.intensity.b'")):
        scene(target=target, x_opt=None, parameters=colored).open().close()


@pytest.mark.parametrize("case", ["no lamp", "another lamp", "a known exposure", "white balance"])
def test_exposure_and_lamps_that_can_be_found(case):
    """A colour that a known other lamp gives, or a photograph of known exposure."""
    target = Photograph(np.full((HEIGHT, WIDTH, 3), 0.3), exposure="unknown")
    facts = {"target": target, "x_opt": None}
    if case == "no lamp":
        facts["parameters"] = TINY[:2]
    if case == "another lamp":
        second = {"type": "point", "position": [-2, 1, 3], "intensity": rgb(4.0, 4.0, 4.0)}
        facts["description"] = room() | {"second": second}
    if case == "a known exposure":
        facts |= {
            "target": [target, np.full((HEIGHT, WIDTH, 3), 0.3)],
            "variants": [{}, {"ball.bsdf.reflectance": 0.1}],
        }
    if case == "white balance":
        facts["target"] = Photograph(np.full((HEIGHT, WIDTH, 3), 0.3), white_balance="unknown")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scene(**facts).open().close()


def test_the_noise_of_a_photograph_beside_that_of_a_render(light):
    """As a multiple of the variance of a render at the answer, which the start overestimates by a fifth at most."""
    noise, rng = (0.03, 0.002), np.random.default_rng(1)
    deviations = np.sqrt(noise[0] ** 2 + noise[1] * light.mean(axis=2, keepdims=True))
    noisy = (0.5 * (light + deviations * rng.standard_normal(light.shape))).astype(np.float32)
    halved = {"noise": (0.5 * noise[0], 0.5 * noise[1]), "exposure": "unknown"}
    known = {"description": room(), "parameters": TINY[:2], "x_opt": None}
    lit = room() | {"lamp": room()["lamp"] | {"intensity": rgb(9.0, 9.0, 9.0)}}
    with scene(lit, parameters=TINY[:2], target=Photograph(noisy, **halved), x_opt=None).open() as live:
        live._scene.apply(torch.tensor([0.3, 0.2, 0.6, 0.3], dtype=torch.float64))
        renders = [0.5 * np.asarray(live._scene.live.images(seed=seed, spp=16)[0]) for seed in range(40)]
        (scales,) = (one.target.scales for one in live._scene.comparisons)
    own = np.square(0.5 * deviations).reshape(HEIGHT, TIMES, WIDTH, TIMES, 1).mean((1, 3)) / TIMES**2
    exact = (scales**2 * own).sum() * 3 / (scales**2 * np.var(renders, axis=0, ddof=1)).sum()
    assert live.target_noise == pytest.approx(exact, rel=0.25)
    with scene(**known, target=Photograph(noisy, exposure="unknown")).open() as live:
        assert live.target_noise == 0.0
