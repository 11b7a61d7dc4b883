"""The check of energies without a reference has no bias, and finds an error of a few percent."""

import math

import numpy as np
import pytest
from scipy.stats import norm

import invopt
from invopt.exceptions import SceneError
from invopt.problems import NeuralRadiosity
from invopt.problems.radiosity.scenes import furnace
from invopt.rendering.descriptions import diffuse, rgb

from .fields import ConstantField
from .test_transport import furnished
from .trainings import small

# Of every test of this file together: one false alarm in a million.
Z = norm.isf(1e-6 / 20)
PATHS = 2**14
pytestmark = pytest.mark.render


def room():
    """A ball of albedo 1/2 under a sky of radiance 2: it reflects 1, none of it onto itself."""
    scene = furnace()
    ball = {"type": "sphere", "center": [0.0, 0.0, 3.0], "radius": 1.0, "bsdf": diffuse(0.5, 0.5, 0.5)}
    return {
        "type": "scene",
        "sensor": scene["sensor"],
        "ball": ball,
        "sky": {"type": "constant", "radiance": rgb(2, 2, 2)},
    }


def far(found, error, expected):
    """Whether a value is significantly different from another."""
    return abs(found - expected) > Z * error + 1e-6


@pytest.mark.parametrize("sampling", ["bsdf", "nee"])
@pytest.mark.parametrize("constant", [1.0, 1.03, 0.5])
def test_known_energies(sampling, constant):
    with NeuralRadiosity(room, field=ConstantField(), sampling=sampling).open() as live:
        found = live.energy([constant], paths=PATHS, seed=3)
    assert (found.lhs_standard_error > 0) == (sampling == "nee")
    assert not far(found.lhs, found.lhs_standard_error, constant)
    assert not far(found.rhs, found.rhs_standard_error, 1.0)
    assert far(found.lhs, found.lhs_standard_error, 1.0) == (constant != 1.0)


def path_traced(live, count):
    """Light that paths of Mitsuba's integrator bring from first surfaces that do not emit, shape (count,)."""
    import drjit as dr
    import mitsuba as mi

    from invopt.problems.radiosity.transport.cameras import rays

    scene, sampler = live.transport.scene, live.transport.seeded(77, count)
    ray, _ = rays(scene.sensors()[0], 0, 32 * 32, count // (32 * 32), sampler, (32, 32))
    integrator = mi.load_dict({"type": "path", "max_depth": 64, "rr_depth": 24})
    point, (light, _, _) = scene.ray_intersect(ray), integrator.sample(scene, sampler, ray)
    counts = live.transport.is_evaluated(point) & (dr.max(point.emitter(scene).eval(point)) <= 0)
    return np.array(dr.select(counts, light, 0)).mean(0).astype(np.float64)


def test_paths_are_path_tracing():
    """Their mean is that of Mitsuba's path tracing; 3 % more is found."""
    count = 2**18
    with NeuralRadiosity("cornell-box", field="tiny").open() as live:
        truth, paths = path_traced(live, count), live.transport.light_paths(count, 5)
    light = (paths.shown * (paths.light + paths.weight * paths.beyond)).double().mean(0).numpy()
    error = math.hypot(truth.std(), light.std()) / math.sqrt(count)
    assert not far(light.mean(), error, truth.mean())
    assert far(1.03 * light.mean(), 1.03 * error, truth.mean())


def test_paths_pass_specular_surfaces():
    """Through glass and mirrors they find light too."""
    with NeuralRadiosity(lambda: furnished(shiny=True), field="tiny").open() as live:
        paths = live.transport.light_paths(2**12, 5)
    assert all(part.isfinite().all() for part in paths[2:])
    assert paths.beyond.mean() > 0


def test_scenes_without_a_camera_or_light():
    scene = room()
    del scene["sensor"]
    with NeuralRadiosity(scene, field=ConstantField(), points="area").open() as live:
        with pytest.raises(SceneError, match="has no camera, from which energies"):
            live.energy([1.0])
        assert live.measurements(np.ones(1)) == {}
    with NeuralRadiosity("furnace", field=ConstantField()).open() as live:
        # Every path sees the emitter.
        assert live.energy([1.0], paths=64) is None
        with pytest.raises(ValueError, match="'paths' must be >= 2"):
            live.energy([1.0], paths=1)


def test_a_run_ends_with_its_energy(monkeypatch):
    from invopt.problems.radiosity import energy

    monkeypatch.setattr(energy, "PATHS", 2**12)
    options = {"rng": 1000, "maxiter": 3}
    with pytest.warns(UserWarning, match=r"the energy of the trained field's pictures is \d+\.\d+ ± "):
        res = invopt.minimize(small("cornell-box", preset="rooms"), **options)
    assert res.energy > 1.05
    assert 0 < res.energy_standard_error < res.energy
    assert math.isfinite(res.energy_rhs)
    assert res.energy_rhs_standard_error > 0
    assert "energy" not in invopt.minimize(small(), **options)
