"""Different scenes have different identities, in checkpoints and caches."""

from functools import partial

import numpy as np
import pytest

import invopt
from invopt.exceptions import CheckpointError
from invopt.problems import NeuralRadiosity
from invopt.problems.radiosity.pictures.reference import reference
from invopt.problems.radiosity.scenes import furnace

pytestmark = pytest.mark.render

SCENE = """<scene version="3.0.0">
  <default name="mesh" value="one"/>
  <path value="more"/>
  <include filename="parts/part.xml"/>
  <shape type="ply"><string name="filename" value="$mesh.ply"/></shape>
  <shape type="sphere"><emitter type="area"/></shape>
  <sensor type="perspective"/>
</scene>"""
PART = """<scene version="3.0.0">
  <shape type="ply"><string name="filename" value="$mesh.ply"/></shape>
  <texture type="bitmap" id="wood"><string value="wood.png" name="filename"/></texture>
</scene>"""


def of(scene, **options):
    return NeuralRadiosity(scene, preset="paper", field="tiny", n_points=16, n_directions=2, **options).scene_label


@pytest.fixture
def scene(tmp_path):
    path = tmp_path / "scene.xml"
    path.write_text(SCENE)
    for folder in ("parts", "more"):
        (tmp_path / folder).mkdir()
    (tmp_path / "parts" / "part.xml").write_text(PART)
    for name in ("one.ply", "other.ply", "more/wood.png"):
        (tmp_path / name).write_text(name)
    return path


@pytest.mark.parametrize("name", ["scene.xml", "parts/part.xml", "one.ply", "more/wood.png"])
def test_files_and_those_they_name(scene, name):
    before = of(scene)
    assert before == of(scene)
    assert before.startswith("scene.xml:")
    path = scene.parent / name
    text = path.read_text()
    path.write_text(text.replace("</scene>", '<emitter type="constant"/></scene>') if "<" in text else text + " ")
    assert of(scene) != before


def test_variables(scene):
    before, other = of(scene), of(scene, variables={"mesh": "other"})
    assert before != other
    scene.with_name("other.ply").write_text("changed")
    assert of(scene) == before
    assert of(scene, variables={"mesh": "other"}) != other


def test_files_that_only_lie_about_do_not_count(tmp_path, monkeypatch):
    scene = furnace()
    before = of(scene)
    monkeypatch.chdir(tmp_path)
    for name in ("sphere", "radius", "bsdf", "diffuse", "perspective"):
        (tmp_path / name).write_text("of something else")
    assert of(scene) == before


def test_a_scene_may_move(scene, tmp_path_factory):
    before = of(scene)
    moved = tmp_path_factory.mktemp("elsewhere") / "moved"
    scene.parent.rename(moved)
    assert of(moved / "scene.xml") == before


def test_dictionaries_arrays_and_files(tmp_path):
    path = tmp_path / "mesh.ply"
    path.write_text("mesh")
    scene = furnace() | {"box": {"type": "ply", "filename": str(path), "to_world": np.eye(4)}}
    found = [of(scene)]
    scene["box"]["to_world"] = 2 * np.eye(4)
    found.append(of(scene))
    path.write_text("another")
    found.append(of(scene))
    nested = furnace() | {"a": {"type": "sphere", "b": {"type": "diffuse"}}, "d": {"type": "sphere"}}
    found += [of(nested), of(furnace() | {"a": {"type": "sphere"}, "d": {"type": "sphere", "b": {"type": "diffuse"}}})]
    found += [of(furnace(albedo=0.5)), of(furnace(albedo=0.5 + 1e-9))]
    assert len(set(found)) == 7


@pytest.mark.parametrize("kind", ["bitmap", "tensor", "mesh"])
def test_objects_of_mitsuba(kind):
    """Objects of equal size and repr but different contents differ."""

    def room(x):
        import mitsuba as mi

        pixels = np.full((64, 64, 3), 0.5, dtype=np.float32)
        pixels[30, 30] = x
        if kind == "mesh":
            mesh = mi.Mesh("part", 4, 1)
            params = mi.traverse(mesh)
            params["vertex_positions"] = [0, 0, 0, 1, 0, 0, 1, 1, 0, x, 0, 0]
            params["faces"] = [0, 1, 2]
            params.update()
            return furnace() | {"part": mesh}
        held = {"bitmap": mi.Bitmap(pixels)} if kind == "bitmap" else {"data": mi.TensorXf(pixels)}
        texture = {"type": "bitmap", "raw": True} | held
        return furnace() | {"part": {"type": "sphere", "bsdf": {"type": "diffuse", "reflectance": texture}}}

    found = [of(partial(room, x)) for x in (0.2, 0.3, 0.2)]
    assert found[0] == found[2] != found[1]


def test_callables_and_names_are_what_they_make(tmp_path):
    """Lambdas and partials are distinguished by code and arguments."""
    scenes = [lambda: furnace(albedo=0.2), lambda: furnace(albedo=0.5), partial(furnace, albedo=0.8)]
    assert len({of(scene) for scene in scenes}) == 3
    assert of(scenes[2]) == of(lambda: furnace(albedo=0.8))
    assert of("furnace").partition(":")[2] == of(furnace).partition(":")[2]
    radiances = []
    problems = [NeuralRadiosity(scene, preset="paper", field="tiny", n_points=16, n_directions=2) for scene in scenes]
    for problem in problems:
        with problem.open() as live:
            radiances.append(reference(live, spp=64, size=(4, 4), cache=tmp_path).mean())
    np.testing.assert_allclose(radiances, [1.25, 2.0, 5.0], rtol=0.05)
    path = tmp_path / "run.safetensors"
    invopt.minimize(problems[0], rng=0, maxiter=2, checkpoint=path)
    with pytest.raises(CheckpointError, match="scene"):
        invopt.minimize(problems[1], rng=0, maxiter=2, checkpoint=path)
