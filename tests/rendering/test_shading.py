"""Pictures with their Jacobian by textures, colours and lights: exact at one bounce, unbiased at more."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

from invopt import problems
from invopt.plugin import Capability
from invopt.rendering import Color, Custom, Texels, Translation, Value
from invopt.rendering.descriptions import camera, diffuse, rgb

from .shaded import BINDINGS, SIZE, room, texture

pytestmark = pytest.mark.render

ALPHA = 1e-6


@pytest.fixture(scope="module")
def lit(mi):
    """The room at one bounce, open."""
    problem = problems.Scene(room, parameters=list(BINDINGS), x_opt={}, spp=16)
    with problem.open() as live:
        yield problem, live


def rendered(live, x, seed, **more):
    return live.residuals(torch.from_numpy(x)[None], seed=np.array([seed]), **more)[0].numpy()


def test_the_picture_is_that_of_a_render_wherever_things_are(lit):
    problem, live = lit
    rng = np.random.default_rng(0)
    for seed in range(5):
        x = problem.x0 * rng.uniform(0.5, 1.0, problem.n) + (problem.x0 == 0) * rng.uniform(-0.3, 0.3)
        found = live.shading(torch.from_numpy(x), seed=seed)
        np.testing.assert_allclose(found.residuals, rendered(live, x, seed), atol=1e-6)


@pytest.mark.parametrize("number", range(1, len(BINDINGS)), ids=[binding.target for binding in BINDINGS[1:]])
def test_at_one_bounce_it_predicts_the_picture_of_other_values(lit, number):
    problem, live = lit
    columns = problem.layout.slices[number]
    x = problem.x0
    x[columns] *= np.random.default_rng(number).uniform(0.3, 1.1, x[columns].size)
    found = live.shading(torch.from_numpy(problem.x0), seed=3)
    change = rendered(live, x, 3) - found.residuals
    assert np.abs(change).max() > 0.01
    np.testing.assert_allclose(found.jacobian @ (x - problem.x0), change, atol=1e-6)


def test_what_is_black_is_booked(lit):
    problem, live = lit
    x = problem.x0
    x[problem.shades] *= np.random.default_rng(1).random(problem.shades.sum()) < 0.5
    found = live.shading(torch.from_numpy(x), seed=4)
    np.testing.assert_allclose(found.residuals, rendered(live, x, 4), atol=1e-5)
    brighter = x + np.where(problem.shades & (x == 0), 0.1, 0.0)
    change = rendered(live, brighter, 4) - found.residuals
    # Lights and albedos change at once, which is not linear; without columns of what is black nothing would be left.
    assert np.linalg.norm(found.jacobian @ (brighter - x) - change) < 0.3 * np.linalg.norm(change)


def test_columns_that_move_are_empty(lit):
    problem, live = lit
    counts = np.diff(live.shading(torch.from_numpy(problem.x0), seed=0).jacobian.tocsc().indptr)
    assert problem.shades.tolist() == [False] + [True] * (problem.n - 1)
    assert counts[0] == 0
    assert (counts[1:] > 0).mean() > 0.9


def z_score(ours, theirs):
    spread = np.sqrt(ours.var(ddof=1) / len(ours) + theirs.var(ddof=1) / len(theirs))
    return float(np.abs(ours.mean() - theirs.mean()) / spread)


def test_products_with_residuals_are_the_derivative_of_the_renderer(mi):
    problem, k = problems.Texture(width=16, height=16, spp=64, depth=3), 12
    x, away = torch.from_numpy(problem.x0), problem.x0 - problem.x_opt
    with problem.open() as live:
        own = [live.shading(x, seed=seed) for seed in range(k + 1)]
        # Residuals of another seed, as in the renderer's derivative: noise that both share would bias their product.
        pairs = zip(own[1:], own, strict=False)
        ours = np.array([2 * (one.jacobian @ away) @ other.residuals / other.residuals.size for one, other in pairs])
        theirs = np.array([live.jac(x, seed=1000 + seed).numpy() @ away for seed in range(k)])
    limit = norm.isf(ALPHA / 2)
    assert z_score(ours, theirs) < limit < z_score(1.02 * ours, theirs)


def sky():
    """The room under a picture of the sky, which light reaches after several bounces."""
    pixels = np.random.default_rng(0).uniform(0.1, 0.5, (4, 8, 3)).astype(np.float32)
    parts = {name: part for name, part in room(depth=4).items() if name != "sky"}
    return parts | {"sky": {"type": "envmap", "bitmap": pixels}}


SKY = Texels("sky.data", bounds=(0, 4))


def test_at_several_bounces_it_is_the_derivative_of_the_picture(mi):
    bindings = [*BINDINGS[1:-1], Value("sky.scale", bounds=(0, 4))]
    problem = problems.Scene(sky, parameters=bindings, x_opt={}, spp=16)
    with problem.open() as live:
        found = live.shading(torch.from_numpy(problem.x0), seed=5)
        for columns in problem.layout.slices:
            step = np.zeros(problem.n)
            step[columns] = 0.01 * problem.x0[columns]
            change = rendered(live, problem.x0 + step, 5) - rendered(live, problem.x0 - step, 5)
            error = np.linalg.norm(2 * found.jacobian @ step - change) / np.linalg.norm(change)
            assert error < 2e-3 < np.linalg.norm(0.02 * change) / np.linalg.norm(change)


def test_the_sky_is_booked_without_bias_though_it_is_sampled_by_brightness(mi):
    problem, k = problems.Scene(sky, parameters=[SKY], x_opt={}, spp=64), 16
    brighter = problem.x0 * np.random.default_rng(1).uniform(1.0, 3.0, problem.n)
    with problem.open() as live:
        ours = [live.shading(torch.from_numpy(problem.x0), seed=seed) for seed in range(k)]
        predicted = np.array([(one.jacobian @ (brighter - problem.x0)).mean() for one in ours])
        theirs = [(rendered(live, brighter, 900 + s) - rendered(live, problem.x0, 800 + s)).mean() for s in range(k)]
    limit = norm.isf(ALPHA / 2)
    assert z_score(predicted, np.array(theirs)) < limit < z_score(1.02 * predicted, np.array(theirs))


def test_views_masks_states_and_luminance_are_part_of_the_residuals(mi):
    bindings = [Color("ball.bsdf.reflectance"), Color("bulb.intensity"), Value("lamp.emitter.radiance", log=True)]
    grey = camera(origin=[1, -3, 1.6], target=[0, 0, 0.3], fov=42, width=10, height=12)
    grey["film"]["pixel_format"] = "luminance"
    problem = problems.Scene(
        lambda: room(second=grey),
        parameters=bindings,
        x_opt={"bulb.intensity": [1.0, 2.0, 3.0]},
        sensors=[0, "second"],
        variants=[{"bulb.intensity": [0.0, 0.0, 0.0]}, {}],
        loss="relative-mse",
        spp=8,
    )
    x = problem.x0
    with problem.open() as live:
        found = live.shading(torch.from_numpy(x), seed=2)
        assert found.residuals.size == 3 * SIZE**2 + 10 * 12
        np.testing.assert_allclose(found.residuals, rendered(live, x, 2), atol=1e-5)
        for column, step in enumerate(1e-3 * np.eye(problem.n)):
            change = rendered(live, x + step, 2) - found.residuals
            np.testing.assert_allclose(found.jacobian @ step, change, atol=2e-5 + 2e-2 * np.abs(change).max())
            assert np.abs(change).max() > 1e-5, column
        assert not found.jacobian[: 3 * SIZE**2, 3:6].count_nonzero()


def test_what_a_function_mixes_shades_if_it_says_so(mi):
    def mixed(x):
        return {"ball.bsdf.reflectance.value": x[0] * torch.tensor([1.0, 0.5, 0.2]), "bulb.intensity.value": 3 * x}

    start = np.array([0.5, 0.4, 0.3])
    silent = problems.Scene(room, parameters=[Custom("mix", function=mixed, x0=start)], x_opt=start)
    assert not silent.shades.any()
    assert Capability.SHADING not in silent.provides
    problem = problems.Scene(room, parameters=[Custom("mix", function=mixed, x0=start, shades=True)], x_opt=start)
    assert problem.shades.all()
    with problem.open() as live:
        found = live.shading(torch.from_numpy(start), seed=2)
        step = np.array([0.0, 0.1, -0.1])
        np.testing.assert_allclose(found.jacobian @ step, rendered(live, start + step, 2) - found.residuals, atol=1e-6)


def test_a_material_that_shapes_share_is_booked_at_all_of_them(mi):
    shared = {"type": "ref", "id": "paint"}

    def described():
        found = room()
        return found | {name: found[name] | {"bsdf": shared} for name in ("box", "ball")}

    problem = problems.Scene(described, parameters=[Color("ball.bsdf.brdf_0.reflectance")], x_opt={}, spp=4)
    x = problem.x0 * np.array([0.8, 0.9, 0.7])
    with problem.open() as live:
        found = live.shading(torch.from_numpy(problem.x0), seed=1)
        change = rendered(live, x, 1) - found.residuals
    np.testing.assert_allclose(found.jacobian @ (x - problem.x0), change, atol=1e-6)


def shiny():
    return room(mug={"type": "sphere", "radius": 0.2, "bsdf": {"type": "principled", "base_color": rgb(0.3, 0.2, 0.1)}})


def bumpy():
    bump = {"type": "bumpmap", "arbitrary": texture(np.full((4, 4, 1), 0.5)), "bsdf": diffuse(0.2, 0.3, 0.4)}
    return room(mug={"type": "sphere", "radius": 0.2, "bsdf": bump})


@pytest.mark.parametrize(
    ("described", "binding", "reason"),
    [
        (shiny, Color("mug.bsdf.base_color"), "Principled"),
        (bumpy, Color("mug.bsdf.nested_bsdf.reflectance"), "BumpMap"),
    ],
    ids=["principled", "inside a bump map"],
)
def test_what_is_not_recorded_is_refused_with_its_reason(mi, described, binding, reason):
    problem = problems.Scene(described, parameters=[binding, Color("bulb.intensity")], x_opt={})
    assert reason in problem.refused[binding.label]
    assert problem.shades.tolist() == [False] * 3 + [True] * 3
    with problem.open() as live:
        found = live.shading(torch.from_numpy(problem.x0), seed=0)
    assert not found.jacobian[:, :3].count_nonzero()
    assert found.jacobian[:, 3:].count_nonzero()


def gaussian():
    found = room()
    del found["sensor"]["film"]["rfilter"]
    return found


@pytest.mark.parametrize(
    ("described", "reason"),
    [
        (gaussian, "'box'"),
        (lambda: room(depth=-1), "max_depth"),
        (lambda: room(integrator={"type": "direct"}), "'path'"),
    ],
    ids=["filter", "endless paths", "integrator"],
)
def test_pictures_that_are_not_recorded_are_refused(mi, described, reason):
    problem = problems.Scene(described, parameters=[Color("bulb.intensity")], x_opt={})
    assert reason in problem.refused["bulb.intensity"]
    assert not problem.shades.any()


def test_losses_of_more_than_pixels_and_other_backends_have_no_shading():
    parts = {"parameters": [Color("bulb.intensity")], "x_opt": {"bulb.intensity": [1.0, 1.0, 1.0]}}
    blurred = problems.Scene(room, loss="multi-scale-mse", **parts)
    assert Capability.SHADING not in blurred.provides
    assert "single pixels" in blurred.why_not(Capability.SHADING)
    assert Capability.SHADING not in problems.Scene(room, backend="scalar", **parts).provides
    moving = problems.Scene(room, parameters=[Translation("ball")], x_opt={})
    assert Capability.SHADING not in moving.provides
    assert not moving.shades.any()


def test_an_objective_without_it_says_so():
    with problems.Quadratic().open() as live, pytest.raises(TypeError, match="no Jacobian"):
        live.shading(torch.zeros(2), seed=0)
