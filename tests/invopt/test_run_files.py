"""Run files: scenes, photographs and unknowns in TOML."""

import json
import tomllib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from invopt.cli import app
from invopt.core.identity import digest
from invopt.runfiles import read_run_file, saving
from invopt.runfiles.toml_text import as_toml

SCENE = """<scene version="3.0.0">
  <integrator type="path"><integer name="max_depth" value="2"/></integrator>
  <sensor type="perspective" id="camera">
    <transform name="to_world"><lookat origin="0, -4, 1" target="0, 0, 0" up="0, 0, 1"/></transform>
    <film type="hdrfilm"><integer name="width" value="12"/><integer name="height" value="8"/></film>
  </sensor>
  <shape type="sphere" id="ball"/>
  <emitter type="constant" id="sky"><rgb name="radiance" value="0.5, 0.5, 0.5"/></emitter>
</scene>
"""
TOML = """
scene = "room.xml"
maxfev = 12
out = "found"
[[photograph]]
source = "photo.png"
weight = 2
[[parameter]]
kind = "Translation"
target = "ball"
axes = "x"
bounds = [-1, 1]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "room.xml").write_text(SCENE)
    (tmp_path / "room.toml").write_text(TOML)
    Image.fromarray(np.full((16, 24, 3), 150, np.uint8)).save(tmp_path / "photo.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_a_file_says(folder):
    file = read_run_file(folder / "room.toml")
    assert file.options == {"maxfev": 12, "out": "found"}
    assert [binding.label for binding in file.problem.bindings] == ["ball.translation"]
    assert file.problem.target[0].weight == 2
    assert file.problem.scene == folder / "room.xml"


def test_views_and_states(folder):
    more = '[[photograph]]\nsource = "photo.png"\nsensor = "camera"\nchanges = {"sky.radiance" = 0.1}\n'
    (folder / "room.toml").write_text(f"{TOML}{more}[start]\n'ball.translation' = 0.5\n")
    problem = read_run_file(folder / "room.toml").problem
    assert problem.sensors == (0, "camera")
    assert [dict(state) for state in problem.variants] == [{}, {"sky.radiance": 0.1}]
    assert problem._x0 == {"ball.translation": 0.5}


@pytest.mark.render
def test_a_run(folder):
    done = CliRunner().invoke(app, ["run", "room.toml", "--maxfev", "10"])
    assert done.exit_code == 0, done.output
    assert json.loads((folder / "found" / "result.json").read_text())["nfev"] <= 10
    assert (folder / "found" / "found.xml").exists()
    assert "| ball.translation" in (folder / "found" / "answer.md").read_text()


def run(*arguments):
    """Run the command; return what it printed."""
    done = CliRunner().invoke(app, ["run", *arguments])
    assert done.exit_code == 0, done.exception
    return done.output


def test_a_problem_by_name(tmp_path, monkeypatch):
    """The file of a command is the same run, and its options can be replaced."""
    monkeypatch.chdir(tmp_path)
    command = ["quad", "--estimator", "fr22", "--method", "adam", "--sigma", "0.5", "--maxfev", "40", "--seed", "3"]
    first = run(*command, "--set", "a=4", "--set", "b=6.5", "--out", "one", "--save-toml", "files/quad.toml")
    assert "wrote files/quad.toml" in first
    assert tomllib.loads((tmp_path / "files" / "quad.toml").read_text()) == {
        "problem": "quad",
        "set": {"a": 4, "b": 6.5},
        "estimator": "fr22",
        "method": "adam",
        "maxfev": 40,
        "seed": 3,
        "sigma": 0.5,
        "out": "one",
    }
    run("files/quad.toml", "--out", "two")
    one, two = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("one", "two"))
    assert one | {"seconds": 0, "history": 0} == two | {"seconds": 0, "history": 0}
    assert one["history"]["fun"] == two["history"]["fun"]
    run("files/quad.toml", "--out", "two", "--seed", "4", "--sigma", "0.6")
    assert json.loads((tmp_path / "two" / "result.json").read_text())["x"] != one["x"]


@pytest.mark.render
def test_a_scene_in_another_folder(folder):
    """Its files are found from there."""
    more = 'mask = "mask.png"\nchanges = { "sky.radiance" = [0.1, 0.2, 0.3] }\n[start]\n"ball.translation" = 0.5\n'
    (folder / "room.toml").write_text(TOML.replace("weight = 2\n", f"weight = 2\n{more}"))
    Image.fromarray(np.full((16, 24), 255, np.uint8)).save(folder / "mask.png")
    run("room.toml", "--maxfev", "3", "--save-toml", "files/near/other.toml")
    one, other = (read_run_file(folder / name) for name in ("room.toml", "files/near/other.toml"))
    assert other.options == one.options | {"maxfev": 3}
    assert other.problem.scene.resolve() == folder / "room.xml"
    assert other.problem.target[0].mask.resolve() == folder / "mask.png"
    assert digest(other.problem.identity_content()) == digest(one.problem.identity_content())
    done = CliRunner().invoke(app, ["run", "room.toml", "--sigma", "2", "--estimator", "fr22", "--save-toml", "a.toml"])
    assert "'--sigma' must be left out with a run file of a scene" in str(done.exception)
    assert not (folder / "a.toml").exists()


def test_a_file_that_would_be_another_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(saving, "as_toml", lambda content: as_toml(content | {"maxfev": 41}))
    done = CliRunner().invoke(app, ["run", "quad", "--maxfev", "40", "--save-toml", "quad.toml"])
    assert "'quad.toml' would be another run than this command" in str(done.exception)
    assert not (tmp_path / "quad.toml").exists()


JSON = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_text_that_reads_back(content):
    assert tomllib.loads(as_toml(content)) == content


def test_what_toml_does_not_have(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="'a' has a value that a TOML file cannot hold: None"):
        as_toml({"a": None})
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["run", "mug", "--set", "backend=null", "--save-toml", "mug.toml"])
    assert "'backend' has a value that a TOML file cannot hold: None" in str(done.exception)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('problem = "mugg"', "unknown problem 'mugg'; did you mean 'mug'"),
        ("problem = 3", "'problem' must be a name: 3"),
        ('problem = "quad"\nscene = "room.xml"', "unknown key 'scene' in .*, which is of a problem by name"),
        ('problem = "quad"\nset = 3', r"'set' must be a table \[set\]: 3"),
        ('problem = "quad"\n[set]\nc2 = 3', r"unknown key 'c2' in \[set\] of Quadratic"),
        ('problem = "quad"\nout = 3', "'out' must be the name of a file: 3"),
        ('problem = "quad"\njournal = false', "'journal' must be the name of a file: False"),
    ],
)
def test_bad_input_of_a_problem_by_name(text, message, tmp_path):
    (tmp_path / "quad.toml").write_text(text)
    with pytest.raises((TypeError, ValueError), match=message):
        read_run_file(tmp_path / "quad.toml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("maxfev = 12", "maxfevs = 12", "unknown key 'maxfevs' in .*; did you mean 'maxfev'"),
        ("weight = 2", "wight = 2", r"unknown key 'wight' in \[\[photograph\]\]; did you mean 'weight'"),
        ("axes =", "axis =", r"unknown key 'axis' in \[\[parameter\]\] 'ball'; did you mean 'axes'"),
        ('"Translation"', '"Translate"', "unknown kind of a .*'translate'; did you mean 'translation'"),
        ('scene = "room.xml"', "", "must have the key 'scene'"),
        ('scene = "room.xml"', 'scene = "hall.xml"', "'scene' .*hall.xml' does not exist"),
        ('source = "photo.png"', "", "must have the key 'source'"),
        ('source = "photo.png"', "source = 3", "'source' must be the name of a file: 3"),
        ("[[parameter]]", "[parameter]", r"'parameter' must be one or several tables \[\[parameter\]\]"),
        ("bounds = [-1, 1]", "bounds = [-1, 1", "could not be read as TOML"),
    ],
)
def test_bad_input(folder, old, new, message):
    (folder / "room.toml").write_text(TOML.replace(old, new))
    with pytest.raises((TypeError, ValueError), match=message):
        read_run_file(folder / "room.toml")


def test_a_file_that_is_not_there(folder):
    done = CliRunner().invoke(app, ["run", "hall.toml"])
    assert "could not be read as TOML" in str(done.exception)
