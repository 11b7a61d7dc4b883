"""Scenes that differ are told apart: a checkpoint, and a reference picture, are of one of them."""

from functools import partial

import numpy as np
import pytest

import invopt
from invopt.exceptions import CheckpointError
from invopt.problems import NeuralRadiosity
from invopt.problems.radiosity.fingerprint import fingerprint
from invopt.problems.radiosity.reference import reference
from invopt.problems.radiosity.scenes import furnace

SCENE = """<scene version="3.0.0">
  <default name="mesh" value="one"/>
  <include filename="part.xml"/>
  <shape type="ply"><string name="filename" value="$mesh.ply"/></shape>
</scene>"""


@pytest.fixture
def scene(tmp_path):
    path = tmp_path / "scene.xml"
    path.write_text(SCENE)
    (tmp_path / "part.xml").write_text(
        '<scene version="3.0.0"><texture type="bitmap"><string value="wood.png" name="filename"/></texture></scene>'
    )
    for name in ("one.ply", "other.ply", "wood.png"):
        (tmp_path / name).write_text(name)
    return path


@pytest.mark.parametrize("name", ["scene.xml", "part.xml", "one.ply", "wood.png"])
def test_files_and_those_they_name(scene, name):
    before = fingerprint(scene, {})
    assert before == fingerprint(scene, {})
    assert before.startswith("scene.xml:")
    path = scene.with_name(name)
    path.write_text(path.read_text() + " ")
    assert fingerprint(scene, {}) != before


def test_variables(scene):
    before, other = fingerprint(scene, {}), fingerprint(scene, {"mesh": "other"})
    assert before != other
    scene.with_name("other.ply").write_text("changed")
    assert fingerprint(scene, {}) == before
    assert fingerprint(scene, {"mesh": "other"}) != other


def test_dictionaries_arrays_and_files(tmp_path):
    path = tmp_path / "mesh.ply"
    path.write_text("mesh")
    scene = {"type": "scene", "box": {"type": "ply", "filename": str(path), "to_world": np.eye(4)}}
    found = [fingerprint(scene, {})]
    scene["box"]["to_world"] = 2 * np.eye(4)
    found.append(fingerprint(scene, {}))
    path.write_text("another")
    found.append(fingerprint(scene, {}))
    assert len(set(found)) == 3


@pytest.mark.render
def test_objects_of_mitsuba():
    """By their contents: two meshes of the same size and box differ."""

    def room(x):
        import mitsuba as mi

        mesh = mi.Mesh("part", 4, 1)
        params = mi.traverse(mesh)
        params["vertex_positions"] = [0, 0, 0, 1, 0, 0, 1, 1, 0, x, 0, 0]
        params["faces"] = [0, 1, 2]
        params.update()
        return furnace() | {"part": mesh}

    found = [NeuralRadiosity(partial(room, x), field="tiny").fingerprints["scene"] for x in (0.2, 0.3, 0.2)]
    assert found[0] == found[2] != found[1]


@pytest.mark.render
def test_callables_are_what_they_make(tmp_path):
    """Lambdas of one name, and the arguments of a partial: their pictures are not each other's."""
    scenes = [lambda: furnace(albedo=0.2), lambda: furnace(albedo=0.5), partial(furnace, albedo=0.8)]
    problems = [NeuralRadiosity(scene, field="tiny", n_points=16, n_directions=2) for scene in scenes]
    assert len({problem.fingerprints["scene"] for problem in problems}) == 3
    assert problems[2].fingerprints == NeuralRadiosity(partial(furnace, albedo=0.8), field="tiny").fingerprints
    radiances = []
    for problem in problems:
        with problem.open() as live:
            radiances.append(reference(live, spp=64, size=(4, 4), cache=tmp_path).mean())
    np.testing.assert_allclose(radiances, [1.25, 2.0, 5.0], rtol=0.05)
    path = tmp_path / "run.safetensors"
    invopt.minimize(problems[0], rng=0, maxiter=2, checkpoint=path)
    with pytest.raises(CheckpointError, match="scene"):
        invopt.minimize(problems[1], rng=0, maxiter=2, checkpoint=path)
