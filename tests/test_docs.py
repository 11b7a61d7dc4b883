"""What the documentation shows is what happens: examples in docstrings, and the README's with their output."""

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import invopt

# From a checkout the wings lie beside the framework, where walking the one package does not find them.
PACKAGES = [invopt, invopt.problems, invopt.estimators, invopt.optimizers]
MODULES = sorted(
    {package.__name__ for package in PACKAGES}
    | {found.name for package in PACKAGES for found in pkgutil.walk_packages(package.__path__, package.__name__ + ".")}
)

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```\n)?", README, re.DOTALL)

# Renders differ between backends and versions of them, and with them the angle that is found, in degrees.
TOLERANCE = 2.0


def test_no_module_is_missed():
    files = {path for package in PACKAGES for folder in package.__path__ for path in Path(folder).rglob("*.py")}
    assert len(files) == len(MODULES)


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


@pytest.mark.render
@pytest.mark.parametrize(("code", "output"), BLOCKS, ids=[f"block{i}" for i in range(len(BLOCKS))])
def test_readme(code, output, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
    )
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
