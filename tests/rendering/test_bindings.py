import math

import numpy as np
import pytest
import torch

from invopt import problems
from invopt.core.objective import Adjoint
from invopt.exceptions import SceneError
from invopt.rendering import (
    CameraPose,
    Color,
    Custom,
    FieldOfView,
    Pose,
    Rotation,
    Scale,
    Texels,
    Translation,
    Value,
)

from .rooms import SIZE, room

ROOM = room
SEED = np.array([5])


def tint(x):
    return {"paint.reflectance": torch.stack([x[0], x[0], x[1]])}


# Every kind on every sort of object, with a point that moves it.
BINDINGS = [
    (Translation("ball", axes="xz"), [0.2, 0.1]),
    (Translation("box"), [0.1, -0.2, 0.05]),
    (Translation("lamp", axes="y"), [0.4]),
    (Translation("bulb", axes="yx"), [0.4, 0.2]),
    (Rotation("box", axis=(0, 0, 1)), [1.3]),
    (Rotation("picture", axis=(0, 1, 0), unit=10, center=(0, 0, 0)), [1.0]),
    (Scale("box"), [0.2]),
    (Scale("ball", bounds=(0.5, 2)), [-0.2]),
    (Pose("box"), [0.1, 0.0, 0.1, 0.5, -0.3, 1.0]),
    (CameraPose(), [0.1, 0.05, -0.2, 0.3, 1.0, 0.5]),
    (FieldOfView(), [50.0]),
    (Color("ball.bsdf.reflectance"), [0.1, 0.6, 0.4]),
    (Color("lamp.emitter.radiance", bounds=(0, None)), [4.0, 9.0, 6.0]),
    (Value("lamp.emitter.radiance", log=True), [math.log(15.0)]),
    (Value("bulb.intensity", bounds=(0, 10)), [4.0]),
    (Texels("picture.bsdf.reflectance"), np.linspace(0.9, 0.2, 16)),
    (Custom("tint", function=tint, x0=[0.5, 0.45], columns=("warm", "cold")), [0.2, 0.8]),
]
# Moving edges and shadows are not in prb's derivative; these move none.
SMOOTH = [item for item in BINDINGS if type(item[0]) in (Color, Value, Texels, Custom)]
NONE = [
    item for item in BINDINGS if isinstance(item[0], CameraPose | FieldOfView) or item[0].label == "bulb.translation"
]


def scene(*bindings, x=None, **facts):
    start = None if x is None else np.asarray(x, dtype=float)
    return problems.Scene(ROOM, parameters=bindings, x_opt=facts.pop("x_opt", start), spp=16, **facts)


def name(item):
    return repr(item[0]).split("(")[0] + "-" + item[0].target if isinstance(item, tuple) else None


@pytest.mark.render
@pytest.mark.parametrize("item", BINDINGS, ids=name)
def test_scene_goes_there_and_comes_back(item):
    binding, x = item
    problem = scene(binding, x_opt={})
    with problem.open() as live:
        here = live.image(problem.x0, seed=3)
        there = live.image(x, seed=3)
        assert np.isfinite(there).all()
        assert np.abs(there - here).max() > 1e-2
        np.testing.assert_allclose(live.image(problem.x0, seed=3), here, atol=2e-5)
        np.testing.assert_array_equal(live.image(x, seed=3), there)
    assert len(problem.names) == len(set(problem.names)) == problem.n == len(x)
    assert (problem.x_scale > 0).all()


@pytest.mark.render
@pytest.mark.parametrize("item", BINDINGS, ids=name)
def test_scene_units_and_back(item):
    binding, x = item
    problem = scene(binding, x_opt={})
    values = problem.parameters(np.asarray(x))
    assert list(values) == [binding.label]
    np.testing.assert_allclose(problem.layout.point(values, "x0"), x, rtol=1e-12)


@pytest.mark.render
@pytest.mark.parametrize("item", SMOOTH, ids=name)
def test_derivative_is_that_of_differences(item):
    binding, x = item
    problem = scene(binding, x_opt={}, loss="relative-mse")
    x = torch.tensor(np.asarray(x), dtype=torch.float64)
    with problem.open() as live:
        exact = torch.stack([live.value_and_jac(x, seed=s, spp=64)[1] for s in range(12)])
        step = 1e-2 * torch.from_numpy(problem.x_scale)
        columns = []
        for i in range(min(len(x), 4)):
            shift = torch.zeros_like(x)
            shift[i] = step[i]
            both = torch.stack([x + shift, x - shift])
            found = torch.stack([live.fun(both, seed=np.array([s, s]), spp=64) for s in range(12)])
            columns.append((found[:, 0] - found[:, 1]) / (2 * step[i]))
        by_difference = torch.stack(columns, dim=1)
    exact = exact[:, : by_difference.shape[1]]
    error = torch.sqrt((exact.var(0) + by_difference.var(0)) / 12)
    # Five standard errors of the two means, with a hundredth for the width of the difference.
    limit = 5 * error + 0.01 * by_difference.mean(0).abs()
    assert (exact.mean(0).abs() > 5 * limit).any()
    assert ((exact.mean(0) - by_difference.mean(0)).abs() <= limit).all()


@pytest.mark.render
@pytest.mark.parametrize("item", NONE, ids=name)
def test_a_missing_derivative_is_an_error(item):
    with scene(item[0], x_opt={}).open() as live, pytest.raises(SceneError, match="Mitsuba has no derivative"):
        live.jac(torch.tensor(np.asarray(item[1])), seed=1)


@pytest.mark.render
def test_motions_of_one_object_compose():
    parts = (Translation("box", axes="xy"), Rotation("box", axis=(0, 0, 1)), Scale("box"))
    problem = scene(*parts, x_opt={})
    both = scene(*parts[::-1], x_opt={})
    with problem.open() as live:
        moved = live._scene.motions(torch.tensor([0.3, 0.1, 4.5, math.log(2.0)], dtype=torch.float64))["box"][0]
        first = live.image([0.3, 0.1, 4.5, 0.2], seed=1)
    # Scaled by 2 and turned by 90 degrees about the box's middle, then shifted.
    middle = np.array([0.6, 0.2, 0.25])
    corner = middle + np.array([0.25, 0, 0])
    np.testing.assert_allclose(moved[:3, :3] @ corner + moved[:3, 3], middle + np.array([0.3, 0.1 + 0.5, 0]), atol=1e-6)
    with both.open() as live:
        np.testing.assert_array_equal(live.image([0.2, 4.5, 0.3, 0.1], seed=1), first)


@pytest.mark.render
def test_instances_and_vertices_give_the_same_picture():
    problem = scene(Pose("box"), x_opt={})
    x = torch.tensor([0.1, 0.0, 0.1, 0.5, -0.3, 1.0], dtype=torch.float64)
    with problem.open() as live:
        assert live._scene.live.place_of("box") == "to_world"
        instance = live.image(x.numpy(), seed=2, spp=256)
        live._scene.require_derivative("prb")
        assert live._scene.live.place_of("box") == "vertex_positions"
        vertices = live.image(x.numpy(), seed=2, spp=256)
        still = live.image(problem.x0, seed=2, spp=256)
    # The same pictures, except for rounding where a ray grazes the box.
    assert np.abs(instance - vertices).mean() < 0.02 * np.abs(still - vertices).mean()


@pytest.mark.render
def test_a_turn_more_is_the_same_to_the_last_bit():
    problem = scene(Rotation("box", axis=(0, 0, 1), unit=20), x_opt={})
    assert problem.periods.tolist() == [18.0]
    with problem.open() as live:
        np.testing.assert_array_equal(live.image([2.5], seed=1), live.image([20.5], seed=1))


@pytest.mark.render
def test_moving_geometry_has_a_derivative_with_projective_sampling():
    # A black ball before an even surround: every change of the picture is that of its edge.
    description = {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": 2},
        "sensor": {
            "type": "perspective",
            "fov": 30,
            "to_world": looking(),
            "film": {"type": "hdrfilm", "width": SIZE, "height": SIZE, "rfilter": {"type": "box"}},
        },
        "ball": {"type": "sphere", "radius": 0.3, "bsdf": {"type": "diffuse", "reflectance": 0.0}},
        "surround": {"type": "constant"},
    }
    problem = problems.Scene(description, parameters=Translation("ball", axes="x"), x_opt=[0.0], spp=64)
    x = torch.tensor([0.1], dtype=torch.float64)
    with problem.open() as live:
        seeds = np.arange(1, 9)
        both = torch.cat([x + 0.02, x - 0.02])[:, None]
        slope = np.mean([float(-live.fun(both, seed=np.array([s, s])).diff()) / 0.04 for s in seeds])
        assert abs(live.value_and_jac(x, seed=1)[1].item()) < 0.05 * abs(slope)
        assert "neglects" in live.blind_spots
        found = [live.value_and_jac(x, seed=int(s), adjoint=Adjoint("prb_projective"))[1].item() for s in seeds]
        assert live.blind_spots == ""
    assert abs(np.mean(found) - slope) < 0.1 * abs(slope)


def looking():
    return np.array([[-1.0, 0, 0, 0], [0, 0, 1, -3], [0, 1, 0, 0], [0, 0, 0, 1]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Translation(3), "'target' must be the name"),
        (lambda: Translation("ball", axes="w"), "'axes' must be distinct letters"),
        (lambda: Translation("ball", axes="xx"), "'axes' must be distinct letters"),
        (lambda: Translation("ball", bounds=(1, 1)), "'bounds' must be low < high"),
        (lambda: Translation("ball", bounds=3), "'bounds' must be a pair"),
        (lambda: Translation("ball", scale=0), "'scale' must be > 0"),
        (lambda: Rotation("ball", axis=(0, 0, 0)), "'axis' must be a direction"),
        (lambda: Rotation("ball", axis=(0, 0, 1), unit=0), "'unit' must be > 0"),
        (lambda: Value("alpha"), "'scale' or 'bounds' must be given"),
        (lambda: Value("alpha", log=True, bounds=(-1, 2)), "'bounds' must be >= 0 with log=True"),
        (lambda: Texels("t", shape=(4, 4)), "'shape' must be"),
        (lambda: Custom("c", function=3, x0=[1.0]), "'function' must be callable"),
        (lambda: Custom("c", function=tint, x0=[1.0], columns=("a", "b")), "'columns' must be 1 names"),
    ],
)
def test_bad_fields_are_named(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (Translation("ball", axes="xy"), Translation("ball", axes="yz"), "two bindings set 'ball along y'"),
        (Rotation("ball", axis=(0, 0, 1)), Rotation("ball", axis=(0, 0, -1)), "two bindings set 'ball about"),
        (Rotation("ball", axis=(0, 0, 1)), Pose("ball"), "two bindings turn 'ball'"),
        (Pose("ball"), Translation("ball", axes="x"), "two bindings set 'ball along x'"),
        (Color("a.b"), Value("a.b", log=True), "two bindings set 'a.b'"),
        (Translation("ball", axes="x"), Translation("ball", axes="y"), "have the name 'ball.translation'"),
    ],
)
def test_two_bindings_on_one_thing(first, second, message):
    with pytest.raises(SceneError, match=message):
        problems.Scene(ROOM, parameters=[first, second], x_opt={})


def test_axes_that_mirror_each_other_are_two():
    turns = [Rotation("ball", axis=(1, 1, 0), name="one"), Rotation("ball", axis=(1, -1, 0), name="other")]
    assert problems.Scene(ROOM, parameters=turns, x_opt=[0, 0]).n == 2


@pytest.mark.render
@pytest.mark.parametrize(
    ("bindings", "message"),
    [
        ([Translation("bal")], "no object 'bal' that can move; did you mean 'ball'"),
        ([Translation("paint")], "'paint' has no geometry|no object 'paint' that can move"),
        ([Translation("integrator")], "no object 'integrator' that can move"),
        ([Translation("sensor.film")], "'sensor.film' has no geometry to move"),
        (
            [Color("ball.bsdf.reflectence")],
            "no parameter 'ball.bsdf.reflectence'; did you mean 'ball.bsdf.reflectance'",
        ),
        ([Color("zzz")], r"no parameter 'zzz'; known: .*, .* and \d\d more$"),
        ([Color("picture.bsdf.reflectance")], "is a bitmap texture of shape .*, not a colour: use Texels"),
        (
            [Color("sensor.x_fov")],
            r"is one number .*, not a colour: .*'x_fov': \{'type': 'rgb', 'value': \[42, 42, 42\]",
        ),
        ([Texels("ball.bsdf.reflectance")], "is a colour of shape .*, not a bitmap texture: use Color"),
        ([Texels("picture.bsdf.reflectance", shape=(8, 8, 1))], "has shape \\(4, 4, 1\\), not \\(8, 8, 1\\)"),
        (
            [Value("picture.bsdf.reflectance", log=True)],
            "is a bitmap texture of .*, not a number or a colour: use Texels",
        ),
        ([Color("paint.reflectance"), Custom("c", function=tint, x0=[0.5, 0.5])], "two bindings set 'paint"),
        ([Custom("c", function=lambda x: {"paint.reflectance": x}, x0=[0.5])], "takes 3 numbers"),
    ],
)
def test_bindings_that_do_not_fit_the_scene(bindings, message):
    with pytest.raises(SceneError, match=message):
        scene(*bindings, x_opt={}).open()
