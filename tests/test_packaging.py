"""The wheel: one top-level package, typed, complete; importing it loads no renderer."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
SOURCES = {"invopt": "invopt"} | {f"invopt.{wing}": wing for wing in ("problems", "estimators", "optimizers")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Path of a wheel built from a copy, since building leaves files behind; needs no network."""
    copy = tmp_path_factory.mktemp("checkout") / "invopt"
    passing = ("__pycache__", "build", "dist", "out", "_build", "gallery", ".*", "*.egg-info")
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*passing))
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(copy / "dist"), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = (copy / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def files(wheel):
    return zipfile.ZipFile(wheel).namelist()


def test_one_top_level_package(wheel, files):
    tops = {name.split("/")[0] for name in files}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"invopt"}
    (top_level,) = (name for name in files if name.endswith("top_level.txt"))
    assert zipfile.ZipFile(wheel).read(top_level).split() == [b"invopt"]


def test_types_and_licence_are_inside(files):
    assert "invopt/py.typed" in files
    assert any(name.endswith("licenses/LICENSE") for name in files)


def test_every_source_is_inside_and_nothing_else(files):
    expected = {
        f"{package.replace('.', '/')}/{path.relative_to(ROOT / folder).as_posix()}"
        for package, folder in SOURCES.items()
        for path in (ROOT / folder).rglob("*.py")
    }
    assert expected == {name for name in files if name.endswith(".py")}


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_are_inside(files, package):
    assert f"{package.replace('.', '/')}/__init__.py" in files


def test_wheel_imports_on_its_own(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); "
        # The checkout's own finder, which an editable install adds, must not answer first.
        "sys.meta_path[:] = [f for f in sys.meta_path if not getattr(f, '__module__', '').startswith('__editable__')]; "
        f"import {', '.join(PACKAGES)}; print(invopt.problems.__file__)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(tmp_path)


def test_import_loads_no_renderer():
    script = "import sys, invopt; print(sorted({'mitsuba', 'drjit', 'matplotlib.pyplot'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_version_is_said_once(wheel):
    import invopt

    (said,) = re.findall(r"invopt-([^-]+)-", wheel.name)
    assert said == invopt.__version__


def test_constraints_pin_every_requirement_once():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [_normal(line.split("==")[0]) for line in lines if "==" in line]
    assert len(pins) == len(set(pins))
    asked = chain(project["dependencies"], *project["optional-dependencies"].values())
    assert {_normal(re.match(r"[\w.-]+", line)[0]) for line in asked} <= set(pins)


def _normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()
