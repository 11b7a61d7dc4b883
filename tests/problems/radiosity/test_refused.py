"""Scenes, fields and views that neural radiosity refuses before it renders."""

import json
import math

import numpy as np
import pytest
import torch

import invopt
from invopt import estimators
from invopt.exceptions import CheckpointError, EvaluationError, IncompatibleError, SceneError, UnknownNameError
from invopt.problems import NeuralRadiosity
from invopt.problems.radiosity import Field, Guide, HashGrid, RadianceField, SymmetricL2
from invopt.problems.radiosity.pictures.reference import reference
from invopt.problems.radiosity.scenes import NAMED, furnace, gap_room
from invopt.rendering.descriptions import diffuse, rgb

pytestmark = pytest.mark.render


def small(scene="gap-room", **options):
    return NeuralRadiosity(
        scene, **({"preset": "paper", "field": "tiny", "n_points": 64, "n_directions": 4, "encoder": "torch"} | options)
    )


def medium():
    ball = {
        "type": "sphere",
        "radius": 0.2,
        "bsdf": {"type": "dielectric"},
        "interior": {"type": "homogeneous", "albedo": rgb(0.5, 0.5, 0.5)},
    }
    return furnace() | {"ball": ball}


def foggy():
    """The camera is inside a medium, which no shape bounds."""
    scene = gap_room()
    return scene | {"sensor": scene["sensor"] | {"fog": {"type": "homogeneous", "albedo": rgb(0.5, 0.5, 0.5)}}}


def dark():
    scene = gap_room()
    del scene["lamp"]
    return scene


def bulb():
    return dark() | {"bulb": {"type": "point", "position": [0.0, 0.0, 0.0]}}


def flat():
    scene = furnace()
    scene["sphere"] = {"type": "sphere", "bsdf": {"type": "dielectric"}}
    return scene | {"sky": {"type": "constant"}}


def needle():
    """The only scattering shape is a triangle without area."""
    import mitsuba as mi

    mesh = mi.Mesh("needle", 3, 1)
    params = mi.traverse(mesh)
    params["vertex_positions"] = [0, 0, 0, 1, 0, 0, 2, 0, 0]
    params["faces"] = [0, 1, 2]
    params.update()
    scene = furnace() | {"sky": {"type": "constant"}, "needle": mesh}
    del scene["sphere"]
    return scene


def placed():
    box = {"type": "shapegroup", "id": "group", "box": {"type": "cube"}}
    return furnace() | {"group": box, "box": {"type": "instance", "shapegroup": {"type": "ref", "id": "group"}}}


@pytest.mark.parametrize(
    ("scene", "message"),
    [
        (medium, "bounds a participating medium"),
        (foggy, "camera 'sensor' is inside a participating medium"),
        (dark, "no emitter"),
        (bulb, "use sampling='nee'"),
        (flat, "no surface with an area"),
        (needle, "no surface with an area"),
        (placed, "no instances"),
    ],
)
def test_scenes_that_cannot_be_learned(scene, message):
    with pytest.raises(SceneError, match=message):
        small(scene).open()


def test_what_is_refused_can_be_asked_for():
    small(medium, media="ignore").open().close()
    small(foggy, media="ignore").open().close()
    small(bulb, sampling="nee").open().close()
    sky = furnace() | {"sky": {"type": "constant"}}
    del sky["sphere"]["emitter"]
    with small(sky).open() as live:
        assert live.sides(torch.zeros(small().n), seed=1, step=0, differentiate_right=False).right.isfinite().all()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"scene": "gap-rom"}, UnknownNameError, "did you mean 'gap-room'"),
        ({"scene": "nowhere.xml"}, SceneError, "does not exist"),
        ({"scene": 3}, TypeError, "'scene' must be a name"),
        ({"field": "papr"}, UnknownNameError, "did you mean 'paper'"),
        ({"field": 3}, TypeError, "'field' must be"),
        ({"field": {"outptu": "exp"}}, ValueError, "Field has no field 'outptu'; did you mean 'output'"),
        ({"field": {"encoding": {"levls": 2}}}, ValueError, "HashGrid has no field 'levls'"),
        ({"guide": 3, "sampling": "guided"}, TypeError, "'guide' must be a Guide: 3"),
        ({"field": {1: 2}}, ValueError, "Field has no field 1"),
        ({"loss": {"symmetric-l2": {"shar": 1}}}, ValueError, "SymmetricL2 has no field 'shar'"),
        ({"loss": {"l2": {}, "mae": {}}}, TypeError, "'loss' must be one of"),
        ({"bounces": 65}, ValueError, "'bounces' must be <= 64"),
        ({"variables": 3}, TypeError, "'variables' must be a mapping"),
        ({"n_points": 1}, ValueError, "'n_points' must be >= 2"),
        ({"n_directions": 0}, ValueError, "'n_directions' must be >= 1"),
        ({"loss": "l3"}, UnknownNameError, "unknown loss 'l3'"),
        ({"sampling": "mis"}, ValueError, "'sampling' must be one of"),
        ({"loss": "symmetric-l2", "n_directions": 1}, ValueError, "'n_directions' must be >= 2 for SymmetricL2"),
        ({"bounces": 0}, ValueError, "'bounces' must be >= 1"),
        ({"dark_density": 0}, ValueError, "'dark_density' must be > 0"),
        ({"dark_density": 2}, ValueError, "'dark_density' must be <= 1"),
        ({"guide": Guide()}, ValueError, "for sampling='guided' only"),
        ({"precision": "half"}, ValueError, "'precision' must be one of"),
        ({"encoder": "cuda"}, ValueError, "'encoder' must be one of"),
        ({"media": "use"}, ValueError, "'media' must be one of"),
        ({"backend": "gpu"}, ValueError, "'backend'"),
    ],
)
def test_bad_fields(options, error, message):
    with pytest.raises(error, match=message):
        small(**options)


def shining():
    scene = gap_room()
    return scene | {"lamp": scene["lamp"] | {"emitter": {"type": "area", "radiance": rgb(math.nan, 1, 1)}}}


def scattering():
    scene = gap_room()
    return scene | {"right": scene["right"] | {"bsdf": diffuse(0.5, math.nan, 0.5)}}


@pytest.mark.parametrize("sampling", ["bsdf", "nee"])
def test_an_emitter_that_is_not_finite_is_named(sampling):
    problem = small(shining, sampling=sampling, n_points=1024)
    with pytest.raises(EvaluationError, match=r"not finite: emitter 'emitter' \(AreaLight\) of shape 'lamp' has"):
        invopt.minimize(problem, rng=0, maxiter=3)


def test_a_material_that_is_not_finite_is_named():
    with pytest.raises(EvaluationError, match="not finite: BSDF .* of shape 'right' has values"):
        invopt.minimize(small(scattering, sampling="nee", n_points=1024), rng=0, maxiter=3)


def test_scenes_are_mitsubas_too():
    import mitsuba as mi

    small().open().close()
    for scene in NAMED.values():
        assert mi.load_dict(scene()).shapes()


def test_bad_parts():
    with pytest.raises(ValueError, match="'features' must be even"):
        HashGrid(features=3)
    with pytest.raises(ValueError, match="'features' must be a power of 2"):
        HashGrid(features=6)
    with pytest.raises(ValueError, match="'levels' must be few enough for a finest grid"):
        HashGrid(levels=40, log2_size=8)
    with pytest.raises(ValueError, match="'last' must be > 'first'"):
        Guide(first=5, last=5)
    with pytest.raises(ValueError, match="'output' must be one of"):
        Field(output="sinh")
    with pytest.raises(TypeError, match="'reflection' must be a bool: 1"):
        Field(reflection=1)
    with pytest.raises(TypeError, match="'encoding' must be a HashGrid: 3"):
        Field(encoding=3)
    with pytest.raises(ValueError, match="'share' must be > 0"):
        SymmetricL2(share=0)
    with pytest.raises(ValueError, match="'weight' must be >= 0"):
        estimators.WeightedDualBuffer(weight=-1)
    with pytest.raises(IncompatibleError, match="needs .*SIDES"):
        invopt.minimize("quad", estimators.SemiGradient())
    with pytest.raises(IncompatibleError, match="SIDES cannot be evaluated by workers"):
        invopt.minimize(small(), workers=2)
    with pytest.raises(IncompatibleError, match="'n_directions' to 2"):
        invopt.minimize(small(n_directions=1), estimators.DualBuffer(), rng=0, maxiter=1)
    with pytest.raises(IncompatibleError, match="MAE is not a square"):
        invopt.minimize(small(loss="mae"), estimators.DualBuffer(), rng=0, maxiter=1)
    with pytest.raises(IncompatibleError, match="SymmetricL2 is not a square"):
        invopt.minimize(small(loss="symmetric-l2"), estimators.WeightedDualBuffer(), rng=0, maxiter=1)


def test_fields_by_mappings():
    """Mappings as the command line passes them."""
    given = {"width": 16, "output": "exp", "encoding": {"levels": 4, "log2_size": 8}}
    grid = HashGrid(levels=4, base=4, growth=1.6, log2_size=8)
    assert small(field=given, loss="tweedie").field == Field(
        width=16, output="exp", reflection=False, demodulated=False, encoding=grid
    )
    assert small(loss={"symmetric-l2": {"share": 0.25}}).loss == SymmetricL2(share=0.25)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"spp": 0}, ValueError, "'spp' must be >= 1: 0"),
        ({"spp": 1.5}, TypeError, "'spp' must be an integer"),
        ({"size": (0, 4)}, ValueError, "'size' must be two integers >= 1"),
        ({"size": 4}, ValueError, "'size' must be two integers, width and height: 4"),
        ({"size": (4, 4, 4)}, ValueError, "'size' must be two integers, width and height"),
        ({"n_directions": -1}, ValueError, "'n_directions' must be >= 1: -1"),
        ({"side": "left"}, ValueError, "'side' must be 'lhs' or 'rhs'"),
        ({"sensor": 3}, SceneError, "'sensor' must be below 1"),
        ({"sensor": {"type": "sphere"}}, SceneError, "'sensor' must describe a camera"),
        ({"sensor": "front"}, TypeError, "'sensor' must be an integer"),
        ({"seed": -1}, ValueError, "'seed' must be >= 0"),
        ({"x": [0.0, 1.0]}, ValueError, "'x' must have 1747 elements, got 2"),
    ],
)
def test_bad_views(options, error, message):
    problem = small()
    with problem.open() as live, pytest.raises(error, match=message):
        live.render(options.pop("x", problem.x0), **options)


def test_a_start_that_is_not_finite():
    with pytest.raises(ValueError, match="'x0' must be finite"):
        invopt.minimize(small(), x0=np.full(1747, np.nan), rng=0, maxiter=1)
    with pytest.raises(invopt.NonFiniteError, match="first estimate is (nan|inf): check x0"):
        invopt.minimize(small(), x0=np.full(1747, 1e30), rng=0, maxiter=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda header, parts: parts.update({"layer0.bias": torch.zeros(7)}), r"of shape \(7,\), and its field needs"),
        (lambda header, parts: parts.update({"layer0.bias": torch.zeros(16).double()}), "not finite or not of 32 bits"),
        (lambda header, parts: parts["layer0.bias"].fill_(np.nan), "not finite or not of 32 bits"),
        (lambda header, parts: parts.pop("layer0.bias"), "cannot be read: .*layer0.bias"),
        (lambda header, parts: header.pop("field"), "header that cannot be read: KeyError"),
        (lambda header, parts: header.update(low=[0, 0]), "has no valid box"),
        (lambda header, parts: header.update(extent=[1, 0, 1]), "has no valid box"),
        (lambda header, parts: header["field"].update(activation="sine"), "header that cannot be read: .*Field"),
        (lambda header, parts: header["field"].update(output="sinh"), "header that cannot be read: .*Field"),
        (lambda header, parts: header.update(format=3), "not a radiance field of invopt"),
    ],
)
def test_saved_fields_that_do_not_fit(change, message, tmp_path):
    from safetensors import safe_open
    from safetensors.torch import save_file

    problem, path = (
        small(field={"width": np.int64(16), "depth": 3, "encoding": Field.tiny().encoding}),
        tmp_path / "field",
    )
    with problem.open() as live:
        RadianceField.of(live, problem.x0).save(path)
        with pytest.raises(ValueError, match="'x' must have 1747 elements"):
            RadianceField.of(live, problem.x0[:-1])
    assert RadianceField.load(path).field == problem.field
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["invopt"])
        parts = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(header, parts)
    save_file(parts, path, metadata={"invopt": json.dumps(header)})
    with pytest.raises(CheckpointError, match=message):
        RadianceField.load(path)


def test_references_are_asked_for_in_many_ways(tmp_path):
    with small("furnace").open() as live:
        first = reference(live, spp=np.int64(2), size=tuple(np.array([2, 2])), cache=str(tmp_path))
        again = reference(live, spp=2, size=(2, 2), cache=tmp_path)
        assert len(list(tmp_path.iterdir())) == 1
        np.testing.assert_array_equal(first, again)
        camera = {"type": "perspective", "to_world": np.eye(4)}
        reference(live, camera, spp=2, size=(2, 2), cache=tmp_path)
        reference(live, camera | {"fov": 20.0}, spp=2, size=(2, 2), cache=tmp_path)
        assert len(list(tmp_path.iterdir())) == 3
        for path in tmp_path.iterdir():
            path.write_bytes(b"damaged")
        np.testing.assert_array_equal(reference(live, spp=2, size=(2, 2), cache=tmp_path), first)
