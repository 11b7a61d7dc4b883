"""Examples in docstrings and in the README give the output that they show."""

import doctest
import importlib
import pkgutil
import re
import shutil
from pathlib import Path

import pytest

import invopt

ROOT = Path(__file__).parents[1]
FOLDERS = ("invopt", "problems", "estimators", "optimizers")
MODULES = ["invopt", *sorted(found.name for found in pkgutil.walk_packages(invopt.__path__, "invopt."))]

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```\n)?", README, re.DOTALL)

# Renders differ between backends and versions of them, and with them the angle that is found, in degrees.
TOLERANCE = 2.0


def test_no_module_is_missed():
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    assert len(files) == len(set(MODULES)) == len(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name):
    outcome = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert outcome.failed == 0


def test_docstrings_have_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    tests = [test for name in MODULES for test in finder.find(importlib.import_module(name)) if test.examples]
    assert len(tests) >= 5


def test_readme_has_its_example():
    code, output = BLOCKS[0]
    assert "problems.Mug()" in code
    assert output
    assert len([line for line in code.splitlines() if line]) <= 10


ROOM = """<scene version="3.0.0">
  <integrator type="path"><integer name="max_depth" value="3"/></integrator>
  <sensor type="perspective">
    <float name="fov" value="50"/>
    <transform name="to_world"><lookat origin="0, 2, 5" target="0, 0.5, 0" up="0, 1, 0"/></transform>
    <film type="hdrfilm"><integer name="width" value="16"/><integer name="height" value="12"/></film>
    <sampler type="independent"><integer name="sample_count" value="4"/></sampler>
  </sensor>
  <shape type="rectangle" id="wall">
    <transform name="to_world"><scale value="6"/><translate z="-2"/></transform>
    <bsdf type="diffuse"><rgb name="reflectance" value="0.6, 0.4, 0.3"/></bsdf>
  </shape>
  <shape type="sphere" id="sphere"><point name="center" x="-0.8" y="0.5" z="0"/></shape>
  <shape type="cube" id="mug">
    <transform name="to_world"><scale value="0.4"/><translate x="0.8" y="0.4"/></transform>
  </shape>
  <shape type="sphere" id="lamp">
    <point name="center" x="0" y="4" z="2"/>
    <emitter type="area"><rgb name="radiance" value="9, 9, 9"/></emitter>
  </shape>
</scene>
"""
PHOTOGRAPH = """
import mitsuba as mi
from invopt import problems
from invopt.rendering import Rotation
with problems.Scene("room.xml", parameters=Rotation("mug", axis=(0, 1, 0)), x_opt=[1.0]).open() as live:
    mi.Bitmap(live.reference).write("photo.exr")
"""


@pytest.fixture(scope="module")
def photographed(tmp_path_factory, program):
    """A folder with the scene and the photograph that the README speaks of."""
    folder = tmp_path_factory.mktemp("photographed")
    (folder / "room.xml").write_text(ROOM)
    program(PHOTOGRAPH, cwd=folder, check=True, timeout=100)
    return folder


@pytest.mark.render
@pytest.mark.parametrize(("code", "output"), BLOCKS, ids=[f"block{i}" for i in range(len(BLOCKS))])
def test_readme(code, output, tmp_path, request, program):
    if "photo.exr" in code:
        shutil.copytree(request.getfixturevalue("photographed"), tmp_path, dirs_exist_ok=True)
    done = program(code, cwd=tmp_path, timeout=240)
    assert done.returncode == 0, done.stderr
    assert_same(done.stdout, output)


def assert_same(printed, quoted):
    """Words and whole numbers alike; numbers with a decimal point to `TOLERANCE`."""
    decimal = r"-?\d+\.\d+"
    assert re.sub(decimal, "#", printed) == re.sub(decimal, "#", quoted)
    pairs = zip(re.findall(decimal, printed), re.findall(decimal, quoted), strict=True)
    assert all(abs(float(a) - float(b)) <= TOLERANCE for a, b in pairs), f"{printed!r} is not {quoted!r}"


def test_a_stale_readme_is_noticed():
    with pytest.raises(AssertionError):
        assert_same("found 4.1 degrees\n", "found 0.4 degrees\n")
    with pytest.raises(AssertionError):
        assert_same("after 204 renders\n", "after 200 renders\n")


def test_every_preset_is_described():
    from invopt.bench.presets import OURS, PAPER, PEERS, RESIDUAL_PEERS

    page = (ROOT / "docs" / "benchmark.rst").read_text()
    listed = {
        name for line in re.findall(r"^``.*``$", page, re.MULTILINE) for name in re.findall(r"``([\w-]+)``", line)
    }
    assert listed == {*OURS, *PAPER, *PEERS, *RESIDUAL_PEERS}
