"""A saved field as a Mitsuba integrator, and as the start of another training."""

import json

import numpy as np
import pytest
from attrs import evolve
from scipy.stats import t as student

import invopt
from invopt import optimizers
from invopt.exceptions import BackendError, CheckpointError, IncompatibleError
from invopt.problems.radiosity import RadianceField
from invopt.problems.radiosity.scenes import cornell_box, gap_room
from invopt.rendering.descriptions import diffuse

from .trainings import small

# Of every test of this file together.
ALPHA = 1e-6
SEEDS, SPP = 12, 8
pytestmark = pytest.mark.render


def room(**changes):
    scene = gap_room(16)
    scene["sensor"]["film"]["height"] = 12
    return scene | changes


def taller():
    return room(ball=room()["ball"] | {"radius": 0.5})


def repainted():
    return room(floor=room()["floor"] | {"bsdf": diffuse(0.5, 0.8, 0.8)})


def brighter():
    lamp = room()["lamp"]
    return room(lamp=lamp | {"emitter": {"type": "area", "radiance": {"type": "rgb", "value": [29.0, 25.0, 19.0]}}})


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A problem, its answer, and the file of its field."""
    problem = small(room, preset="rooms", n_points=256, energy_check=False)
    res = invopt.minimize(problem, method=optimizers.Adam(lr=5e-3), rng=1, maxiter=20)
    path = tmp_path_factory.mktemp("field") / "field.safetensors"
    with problem.open() as live:
        RadianceField.of(live, res.x).save(path)
    return problem, res, path


def p_value(one, other):
    """Smallest p-value over the parts of pictures, of the shape (seeds, parts), for equal means."""
    errors = np.sqrt((one.var(0, ddof=1) + other.var(0, ddof=1)) / len(one))
    return 2 * student.sf(np.abs(one.mean(0) - other.mean(0)) / errors, len(one) - 1).min()


def parts(pictures):
    """Mean of each channel of each quarter of pictures, shape (seeds, 12)."""
    stacked = np.stack(pictures).astype(np.float64)
    return stacked.reshape(len(stacked), 2, 6, 2, 8, 3).mean((2, 4)).reshape(len(stacked), -1)


@pytest.mark.parametrize("side", ["lhs", "rhs"])
def test_mitsuba_draws_what_we_draw(side, saved):
    problem, res, path = saved
    with problem.open() as live:
        import mitsuba as mi

        scene = live.transport.scene
        ours = [live.render(res.x, side=side, spp=SPP, seed=100 + i) for i in range(SEEDS)]
        integrator = mi.load_dict({"type": "radiance_field", "filename": str(path), "side": side, "spp": SPP})
        theirs = [np.array(mi.render(scene, integrator=integrator, seed=i)) for i in range(SEEDS)]
        again = np.array(mi.render(scene, integrator=integrator, seed=3))
        inside = mi.load_dict({"type": "aov", "aovs": "albedo:albedo", "field": integrator})
        assert np.array(mi.render(scene, integrator=inside, spp=1)).shape == (12, 16, 6)
    assert np.array_equal(again, theirs[3])
    assert p_value(parts(ours), parts(theirs)) > ALPHA / 24
    assert p_value(1.05 * parts(ours), parts(theirs)) < ALPHA / 24


def test_from_xml(saved, tmp_path):
    problem, _, path = saved
    file = tmp_path / "integrator.xml"
    given = {"filename": ("string", path), "side": ("string", "rhs"), "spp": ("integer", 2)}
    inside = "".join(f'<{kind} name="{name}" value="{value}"/>' for name, (kind, value) in given.items())
    file.write_text(f'<integrator version="3.0.0" type="radiance_field">{inside}</integrator>')
    with problem.open() as live:
        import mitsuba as mi

        integrator = mi.load_file(str(file))
        found = np.array(mi.render(live.transport.scene, integrator=integrator, seed=5))
        by_field = RadianceField.load(path).render(live.transport.scene, side="rhs", spp=2, seed=5)
    assert "side=rhs" in str(integrator)
    assert np.array_equal(found, by_field)
    assert np.array_equal(RadianceField.load(path).render(room, side="rhs", spp=2, seed=5), found)


def test_parts_that_fit_into_memory(saved, monkeypatch):
    from invopt.problems.radiosity.pictures import integrator

    field = RadianceField.load(saved[2])
    whole = field.render(room, spp=1)
    monkeypatch.setattr(integrator, "_QUERIES_AT_ONCE", {False: 50, True: 50})
    np.testing.assert_allclose(field.render(room, spp=1), whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("other", [cornell_box, taller, repainted, brighter])
def test_another_scene_is_refused(other, saved):
    with pytest.raises(CheckpointError, match="is of another scene"):
        RadianceField.load(saved[2]).render(other, spp=1)


def test_the_same_scene_loaded_otherwise(saved):
    """Names, merged meshes and another camera do not make another scene."""
    import mitsuba as mi

    from invopt.rendering.reading.dictionaries import live

    field, scene = RadianceField.load(saved[2]), room()
    scene["sensor"] = cornell_box(16)["sensor"]
    renamed = {f"my_{name}" if name not in ("type", "sensor") else name: value for name, value in scene.items()}
    loaded = mi.load_dict(live(renamed, None))
    assert np.isfinite(field.render(loaded, spp=1)).all()


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"side": "left"}, "'side' must be one of lhs, rhs"),
        ({"spp": -1}, "'spp' must be >= 0"),
        ({"n_directions": 0}, "'n_directions' must be >= 1"),
        ({"media": "use"}, "'media' must be one of"),
        ({"filename": "nowhere"}, "cannot be read"),
    ],
)
def test_bad_properties(properties, message, saved):
    import mitsuba as mi

    with saved[0].open(), pytest.raises(Exception, match=message):
        mi.load_dict({"type": "radiance_field", "filename": str(saved[2])} | properties)


def test_registered_by_name(saved):
    import mitsuba as mi

    from invopt.problems.radiosity import register_integrator

    register_integrator()
    register_integrator()
    made = mi.load_dict({"type": "radiance_field", "filename": str(saved[2])})
    assert "side=lhs" in str(made)


def test_variants_that_cannot_draw():
    from invopt.problems.radiosity.pictures.integrator import integrator_class

    with pytest.raises(BackendError, match="needs a variant"):
        integrator_class("scalar_rgb")


@pytest.mark.parametrize("as_path", [True, False])
def test_a_field_is_a_start(as_path, saved):
    problem, res, path = saved
    start = str(path) if as_path else RadianceField.load(path)
    found = invopt.minimize(problem, x0=start, rng=2, maxiter=1)
    again = invopt.minimize(problem, x0=res.x, rng=2, maxiter=1)
    assert found.history.fun[0] == again.history.fun[0]


def test_a_start_keeps_its_box_in_a_changed_scene(saved):
    _, _, path = saved
    changed = small(taller, preset="rooms", n_points=256, energy_check=False, points="area")
    res = invopt.minimize(changed, x0=path, rng=2, maxiter=1)
    np.testing.assert_array_equal(res.problem.box[1], RadianceField.load(path).extent)
    with changed.open() as live, pytest.raises(IncompatibleError, match="'x0' changes the problem"):
        invopt.plugin.minimize_on(live, changed, x0=path, rng=2, maxiter=1)


def test_starts_that_do_not_fit(saved, tmp_path):
    _, _, path = saved
    with pytest.raises(CheckpointError, match="a field of another network"):
        invopt.minimize(small(room), x0=path, rng=0, maxiter=1)
    with pytest.raises(CheckpointError, match="cannot be read"):
        invopt.minimize(small(room), x0=str(tmp_path / "none"), rng=0, maxiter=1)


def test_files_of_earlier_versions_stay_readable(saved, tmp_path):
    """They name no demodulation and no fingerprint; what they hold was neither."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    path, field = tmp_path / "old.safetensors", evolve(RadianceField.load(saved[2]), fingerprint=None)
    evolve(field, field=evolve(field.field, demodulated=False)).save(path)
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["invopt"])
        kept = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert not header["field"].pop("demodulated")
    save_file(kept, path, metadata={"invopt": json.dumps(header)})
    old = RadianceField.load(path)
    assert not old.field.demodulated
    assert old.fingerprint is None
    # Without a fingerprint, nothing tells scenes apart.
    assert np.isfinite(old.render(taller, spp=1)).all()
