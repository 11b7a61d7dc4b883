"""Bounds and starts of parameters come from the scene; wrong starts are errors."""

import math

import numpy as np
import pytest
import torch

import invopt
from invopt import problems
from invopt.exceptions import SceneError
from invopt.rendering import Color, Custom, FieldOfView, Pose, Rotation, Scale, Texels, Translation, Value
from invopt.rendering.descriptions import area_light, diffuse, rgb

from .rooms import room

INF = math.inf
PIXELS = np.random.default_rng(0).uniform(0.1, 0.9, (4, 4, 3)).astype(np.float32)


def bitmap(pixels=PIXELS):
    return {"type": "bitmap", "raw": True, "bitmap": pixels}


def lit():
    """A scene with all kinds of lights, materials and media."""
    return room() | {
        "lamp": area_light(origin=[1.5, -1, 3], target=[0, 0, 0], half_width=0.5, radiance=18.0),
        "screen": {"type": "rectangle", "emitter": {"type": "area", "radiance": bitmap(9 * PIXELS)}},
        "bulb": {"type": "point", "position": [-1.0, -1.0, 2.0], "intensity": rgb(18.0, 14.0, 7.0)},
        "spot": {"type": "spot", "intensity": rgb(18.0, 14.0, 7.0), "cutoff_angle": 30.0},
        "sun": {"type": "directional", "direction": [0.3, 0.2, -1], "irradiance": rgb(3.0, 3.0, 2.5)},
        "beam": {"type": "rectangle", "emitter": {"type": "directionalarea", "radiance": rgb(5.0, 5.0, 5.0)}},
        "slides": {"type": "projector", "irradiance": bitmap(9 * PIXELS), "scale": 2.0},
        "sky": {"type": "envmap", "bitmap": 9 * PIXELS},
        "gold": {"type": "sphere", "radius": 0.1, "bsdf": {"type": "roughconductor", "material": "Au"}},
        "toy": {"type": "sphere", "radius": 0.1, "bsdf": {"type": "principled", "base_color": rgb(0.5, 0.2, 0.1)}},
        "veil": {
            "type": "sphere",
            "radius": 0.1,
            "bsdf": {"type": "mask", "opacity": 0.3, "inner": diffuse(0.5, 0.5, 0.5)},
        },
        "fog": {
            "type": "cube",
            "bsdf": {"type": "null"},
            "interior": {"type": "homogeneous", "albedo": rgb(0.8, 0.7, 0.6), "sigma_t": rgb(0.3, 0.2, 0.1)},
        },
    }


RANGES = {
    Color("lamp.emitter.radiance"): (0, INF),
    Color("bulb.intensity"): (0, INF),
    Color("sun.irradiance"): (0, INF),
    Color("beam.emitter.radiance"): (0, INF),
    Texels("screen.emitter.radiance"): (0, INF),
    Texels("slides.irradiance"): (0, INF),
    Texels("sky"): (0, INF),
    Color("gold.bsdf.eta"): (0, INF),
    Color("gold.bsdf.k"): (0, INF),
    Color("ball.bsdf.reflectance"): (0, 1),
    Color("paint.reflectance"): (0, 1),
    Color("toy.bsdf.base_color"): (0, 1),
    Texels("picture.bsdf.reflectance"): (0, 1),
    Color("fog.interior_medium.albedo"): (0, 1),
    Color("fog.interior_medium.sigma_t"): (0, INF),
    Value("sky.scale", scale=0.1): (0, INF),
    Value("slides.scale", scale=0.1): (0, INF),
    Value("veil.bsdf.opacity", scale=0.1): (0, 1),
    Value("toy.bsdf.metallic", scale=0.1): (0, 1),
    Value("gold.bsdf.alpha", scale=0.1): (0, INF),
    Value("bulb.sampling_weight", scale=0.1): (-INF, INF),
    Value("spot.cutoff_angle", scale=1.0): (-INF, INF),
    Value("sensor.near_clip", scale=0.1): (-INF, INF),
    Value("spot.intensity", log=True, name="brightness"): (-INF, INF),
}


@pytest.fixture(scope="module")
def everything():
    scene = problems.Scene(lit, parameters=list(RANGES), x_opt={})
    return scene, scene.layout


@pytest.mark.render
@pytest.mark.parametrize("binding", RANGES, ids=lambda binding: binding.label)
def test_bounds_by_what_the_scene_says(binding, everything):
    scene, layout = everything
    columns = dict(zip(RANGES, layout.slices, strict=True))[binding]
    box = scene.bounds
    assert set(box.lb[columns]) == {RANGES[binding][0]}
    assert set(box.ub[columns]) == {RANGES[binding][1]}
    parameter = scene._own(binding)
    # Columns that repeat others are no unknowns.
    padding = parameter.padding
    own = (parameter.value[:, padding:-padding] if padding else parameter.value).ravel()
    start = scene.x0[columns]
    if isinstance(binding, Value):
        own = np.log(own.mean()) if binding.log else own.mean()
    np.testing.assert_allclose(start, own, rtol=1e-12)


@pytest.mark.render
def test_a_lamp_starts_as_bright_as_it_is():
    """The start must not be clipped to (1, 1, 1), 13 times darker."""
    problem = problems.Scene(lit, parameters=Color("bulb.intensity"), x_opt={})
    np.testing.assert_array_equal(problem.x0, [18.0, 14.0, 7.0])
    # A quarter of the mean of its own numbers: the scale of a light is told by how bright it is.
    np.testing.assert_allclose(problem.x_scale, 3.25)
    res = invopt.minimize(problem, rng=0, maxfev=40)
    assert res.history.x[0].tolist() == [18.0, 14.0, 7.0]
    assert (res.history.x > 2).all()


@pytest.mark.render
def test_scales_without_an_upper_bound():
    dark = lit() | {"bulb": {"type": "point", "position": [-1.0, -1.0, 2.0], "intensity": rgb(0.0, 0.0, 0.0)}}
    for description, binding, expected in [
        (lit, Color("bulb.intensity"), 0.25 * 13),
        (lit, Color("bulb.intensity", bounds=(0, None)), 0.25 * 13),
        (lit, Color("bulb.intensity", bounds=(0, 40)), 5.0),
        (lit, Color("bulb.intensity", scale=0.7), 0.7),
        (dark, Color("bulb.intensity"), 0.25),
        (lit, Texels("screen.emitter.radiance"), 0.25 * 9 * PIXELS.mean()),
        (lit, Texels("picture.bsdf.reflectance"), 0.125),
        (lit, Color("ball.bsdf.reflectance"), 0.125),
    ]:
        problem = problems.Scene(description, parameters=binding, x_opt={})
        np.testing.assert_allclose(problem.x_scale, expected, rtol=1e-6)


OUTSIDE = {
    Color("bulb.intensity", bounds=(0, 1)): (
        r"'bulb.intensity.r' is 18 in the scene, outside its bounds \[0, 1\], as are 2 more of its numbers: widen "
        r"'bounds', or give the start of 'bulb.intensity' in 'x0'"
    ),
    Texels("screen.emitter.radiance", bounds=(0, 1)): r"\[2,0,b\]' is 8.* outside its bounds \[0, 1\], as are 46 more",
    Value(
        "bulb.intensity", log=True, bounds=(1, 5)
    ): r"'bulb.intensity' is 13 in the scene, outside its bounds \[1, 5\]",
    Value("spot.cutoff_angle", bounds=(1, 20)): r"'spot.cutoff_angle' is 30 in the scene, outside its bounds \[1, 20\]",
    FieldOfView(bounds=(1, 10)): r"'sensor.x_fov' is 42 in the scene, outside its bounds \[1, 10\]",
    Translation("box", axes="xy", bounds=[(-1, 1), (1, 2)]): r"'box.translation.y' is 0 .*bounds \[1, 2\]: widen",
    Rotation(
        "box", axis=(0, 0, 1), bounds=(10, 20)
    ): r"'box.rotation' is 0 in the scene, outside its bounds \[10, 20\]",
    Scale("box", bounds=(2, 3)): r"'box.scale' is 1 in the scene, outside its bounds \[2, 3\]",
    Pose("box", bounds=[(-1, 1)] * 5 + [(5, 9)]): r"'box.pose.rz' is 0 in the scene, outside its bounds \[5, 9\]",
}


@pytest.mark.render
@pytest.mark.parametrize("binding", OUTSIDE, ids=lambda binding: binding.label)
def test_what_the_scene_has_outside_the_bounds_is_an_error(binding):
    problem = problems.Scene(lit, parameters=binding, x_opt={})
    with pytest.raises(SceneError, match=OUTSIDE[binding]):
        _ = problem.x0
    with pytest.raises(SceneError, match=OUTSIDE[binding].replace("'x0'", "'x_opt'")):
        problem.open()
    # If the start is given, the value in the scene does not matter.
    low, high = problem.layout.joined("limits")
    middle = (low + high) / 2
    given = problems.Scene(lit, parameters=binding, x_opt=middle, x0=middle, reference_spp=1)
    np.testing.assert_array_equal(given.x0, middle)
    given.open().close()


@pytest.mark.render
def test_the_last_bit_of_single_precision_is_inside():
    described = lit() | {"ball": {"type": "sphere", "bsdf": diffuse(0.7, 0.1, 0.1)}}
    problem = problems.Scene(described, parameters=Color("ball.bsdf.reflectance", bounds=(0.1, 0.7)), x_opt={})
    own = np.float32([0.7, 0.1, 0.1]).astype(float)
    assert own[0] < 0.7 < 0.7 + 1e-9 > own[0] != 0.7
    assert (problem.x0 >= 0.1).all()
    assert (problem.x0 <= 0.7).all()
    assert own[1] > 0.1
    outside = problems.Scene(described, parameters=Color("ball.bsdf.reflectance", bounds=(0.1001, 0.7)), x_opt={})
    with pytest.raises(SceneError, match=r"is 0.1 in the scene, outside its bounds \[0.1001, 0.7\]"):
        _ = outside.x0


@pytest.mark.render
def test_a_number_that_stands_for_a_color_leaves_no_part_of_it_outside():
    binding = Value("ball.bsdf.reflectance", scale=0.1)
    problem = problems.Scene(lit, parameters=binding, x_opt={})
    # The ball is of (0.7, 0.2, 0.1): when red is 1, the mean is 10 / 21.
    np.testing.assert_allclose([problem.bounds.lb[0], problem.bounds.ub[0]], [0, 10 / 21], rtol=1e-6)
    values = binding.values(torch.from_numpy(problem.bounds.ub), lambda: problem._own(binding))
    np.testing.assert_allclose(values[binding.target].max(), 1.0, rtol=1e-6)
    log = problems.Scene(lit, parameters=Value("ball.bsdf.reflectance", log=True), x_opt={})
    np.testing.assert_allclose(log.bounds.ub[0], math.log(10 / 21), rtol=1e-6)
    with pytest.raises(SceneError, match=r"'bounds' of 'ball.*' limit the mean .* above 0.4762 the largest exceeds 1"):
        _ = problems.Scene(lit, parameters=Value("ball.bsdf.reflectance", bounds=(0, 1)), x_opt={}).x0


@pytest.mark.render
def test_a_black_light_is_started_where_it_is_said():
    dark = lit() | {"bulb": {"type": "point", "position": [-1.0, -1.0, 2.0], "intensity": rgb(0.0, 0.0, 0.0)}}
    parameters = Value("bulb.intensity", log=True)
    with pytest.raises(SceneError, match="is 0 in the scene, which has no logarithm: give its start in 'x0'"):
        _ = problems.Scene(dark, parameters=parameters, x_opt={"bulb.intensity": 2.0}).x0
    given = problems.Scene(dark, parameters=parameters, x_opt={"bulb.intensity": 2.0}, x0={"bulb.intensity": 1.0})
    with given.open() as live:
        assert live.image(given.x_opt, seed=1).mean() > live.image(given.x0, seed=1).mean()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Custom("c", function=lambda x: {"a": x}, x0=[4.0], bounds=(0, 1)), r"'x0' must be inside 'bounds'"),
        (lambda: Color("a", bounds=[(0, 1), (0, 1)]), "'bounds' must be one pair or 3, one for each column"),
        (lambda: Translation("a", axes="xy", bounds=[(0, 1)] * 3), "'bounds' must be one pair or 2"),
        (lambda: Texels("a", shape=(2, 2, 1), bounds=[(0, 1)] * 3), "'bounds' must be one pair or 4"),
        (lambda: Scale("a", bounds=(-1, 2)), "'bounds' must be factors > 0"),
        (lambda: FieldOfView(bounds=(0, 90)), r"'bounds' must be within \(0, 180\) degrees"),
        (lambda: FieldOfView(bounds=(1, 180)), r"'bounds' must be within \(0, 180\) degrees"),
    ],
)
def test_bounds_that_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_no_lower_bound_of_a_factor_is_a_bound_of_0():
    assert Scale("a", bounds=(None, 2)).limits(1, None).ravel().tolist() == [-INF, math.log(2)]
