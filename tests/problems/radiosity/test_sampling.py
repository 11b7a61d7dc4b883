"""All samplings of incident directions estimate the same integral."""

from functools import partial

import numpy as np
import pytest
import torch

from invopt.problems import NeuralRadiosity
from invopt.problems.radiosity import Guide
from invopt.problems.radiosity.scenes import furnace, gap_room
from invopt.rendering.descriptions import rgb
from invopt.testing import assert_mean

from .fields import ConstantField, WavyField, truth

FAMILY = 1e-6
pytestmark = pytest.mark.render


def with_ball(bsdf, albedo=0.5):
    """A furnace with a ball in front of the camera."""
    ball = {"type": "sphere", "center": [0.0, 0.0, 0.55], "radius": 0.3, "bsdf": bsdf}
    return furnace(albedo=albedo) | {"ball": ball}


PLASTIC = partial(with_ball, {"type": "plastic", "diffuse_reflectance": rgb(0.6, 0.3, 0.2)})
GLASS = partial(with_ball, {"type": "dielectric"})
MIRROR = partial(with_ball, {"type": "conductor", "material": "none"})


def right(scene, sampling, n_points=2**12, m=4, field=None, seed=3):
    """Estimates of the right side at points that depend on the seed only, shape (n_points, 3)."""
    guide = Guide(width=8, depth=2, first=0, last=1) if sampling == "guided" else None
    problem = NeuralRadiosity(
        scene,
        preset="paper",
        field=field or WavyField(),
        n_points=n_points,
        n_directions=m,
        sampling=sampling,
        guide=guide,
        encoder="torch",
    )
    with problem.open() as live:
        # The guide is an untrained network without features; its lobes are random.
        x = torch.from_numpy(problem.x0)
        return live.sides(x, seed=seed, step=10, differentiate_right=False).right.mean(1).double().numpy()


PAIRS = [
    (gap_room, "uniform", "bsdf"),
    (gap_room, "bsdf", "nee"),
    (gap_room, "bsdf", "guided"),
    (PLASTIC, "uniform", "bsdf"),
    (PLASTIC, "bsdf", "guided"),
    (GLASS, "uniform", "nee"),
    ("glossy-plates", "bsdf", "nee"),
]


@pytest.mark.parametrize(("scene", "first", "second"), PAIRS, ids=lambda v: getattr(v, "__name__", str(v))[:12])
def test_samplings_agree(scene, first, second):
    assert_mean(right(scene, first) - right(scene, second), 0.0, alpha=FAMILY / 10)


@pytest.mark.parametrize("sampling", ["nee", "guided"])
def test_wrong_weights_are_seen(sampling, monkeypatch):
    from invopt.problems.radiosity.transport import directions

    honest = right("cornell-box", "bsdf")
    monkeypatch.setattr(directions, "_power", lambda first, second: 1.0)
    with pytest.raises(AssertionError, match="standard errors"):
        assert_mean(honest - right("cornell-box", sampling), 0.0, alpha=FAMILY / 10)


def test_a_wrong_density_of_the_guide_is_seen(monkeypatch):
    from invopt.problems.radiosity.transport.mixture import Mixture

    honest = right(gap_room, "bsdf")
    true = Mixture.density
    monkeypatch.setattr(Mixture, "density", lambda self, d: 0.5 * true(self, d))
    with pytest.raises(AssertionError, match="standard errors"):
        assert_mean(honest - right(gap_room, "guided"), 0.0, alpha=FAMILY / 10)


@pytest.mark.parametrize("scene", [GLASS, MIRROR], ids=["glass", "mirror"])
def test_light_passes_specular_surfaces_unchanged(scene):
    albedo = 0.5
    field = ConstantField(value=truth(albedo, 1.0))
    found = right(scene, "uniform", n_points=2**12, field=field)
    assert_mean(found, 1 / (1 - albedo), alpha=FAMILY / 10)
    problem = NeuralRadiosity(scene, preset="paper", field=field, n_points=16, n_directions=4, encoder="torch")
    with problem.open() as live:
        for side in ("lhs", "rhs"):
            picture = live.render(problem.x0, side=side, spp=4, size=(16, 16))
            assert picture.mean() == pytest.approx(2.0, rel=0.02), side
        assert not live.transport.query(live.transport.points(64, 1))[0].albedo.eq(0).all()


@pytest.mark.parametrize("light", ["point", "sky"])
def test_specular_surfaces_where_no_shape_emits(light):
    """A bulb or a sky alone: no shape's light is gathered on the way through glass."""
    scene = GLASS()
    del scene["sphere"]["emitter"]
    bulb = {"type": "point", "position": [0.5, 0.5, 0.0], "intensity": rgb(1, 1, 1)}
    lit = scene | {"light": bulb if light == "point" else {"type": "constant"}}
    problem = NeuralRadiosity(lit, field="tiny", n_points=64, encoder="torch")
    with problem.open() as live:
        sides = live.sides(torch.from_numpy(problem.x0), seed=1, step=0, differentiate_right=False)
        assert sides.right.isfinite().all()
        assert np.isfinite(live.render(problem.x0, spp=1, size=(8, 8))).all()


def test_points_are_uniform_by_area_and_seen_from_the_bright_side():
    problem = NeuralRadiosity("cornell-box", preset="paper", field="tiny", n_points=2**14, n_directions=1)
    with problem.open() as live:
        point = live.transport.points(2**14, 5)
        query, emitted, asked = live.transport.query(point)
        shapes = live.transport.scene.shapes()
        areas = np.array([float(np.ravel(shape.surface_area())[0]) for shape in shapes])
    assert asked.all()
    lamp = [shape.is_emitter() for shape in shapes].index(True)
    expected = areas[lamp] / areas.sum()
    # The lamp shines on one side only, and its material has one: half a sphere of directions, all bright.
    assert_mean((emitted.amax(0) > 0).double().numpy(), expected, alpha=FAMILY / 10)
    assert ((query.position >= 0) & (query.position <= 1)).all()
    torch.testing.assert_close(query.direction.norm(dim=0), torch.ones(2**14), rtol=1e-4, atol=1e-4)
    assert ((query.direction * query.normal).sum(0) > -1e-4).all()


def test_guide_is_a_density_and_its_samples_follow_it():
    import drjit as dr
    import mitsuba as mi

    from invopt.problems.radiosity.transport.guiding import Lobes
    from invopt.problems.radiosity.transport.mixture import Mixture

    with NeuralRadiosity("cornell-box", preset="paper", field="tiny").open():
        pass
    rng = np.random.default_rng(0)
    means = torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(1, 3, 3)).astype(np.float32)), dim=2)
    lobes = Lobes(torch.tensor([[0.5, 0.3, 0.2]]), torch.tensor([[3.0, 40.0, 0.02]]), means)
    count = 2**16
    mixture = Mixture(lobes, dr.zeros(mi.UInt32, count))
    u = rng.random((3, count)).astype(np.float32)
    drawn = mixture.sample(mi.Float(u[0]), mi.Point2f(mi.Float(u[1]), mi.Float(u[2])))
    density = mixture.density(drawn)
    dr.eval(drawn, density)
    directions = drawn.torch().t()
    log_density = lobes.log_density(directions[None])[0]
    torch.testing.assert_close(density.torch().log(), log_density, rtol=1e-3, atol=1e-3)
    # The mean of 1/p over samples of p is the area of the sphere; of x_i/p, 0.
    weight = 1 / density.torch().double()
    # Narrow lobes over a nearly uniform one: the weights are bounded.
    assert_mean(weight.numpy(), 4 * np.pi, alpha=FAMILY / 10)
    assert_mean((weight[:, None] * directions.double()).numpy(), 0.0, alpha=FAMILY / 10)
