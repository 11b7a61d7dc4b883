"""Run files: scenes, photographs and unknowns in TOML."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from invopt.cli import app
from invopt.runfiles import read_run_file

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
