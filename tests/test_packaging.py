"""The wheel: one top-level package, typed, complete, no renderer at import."""

import re
import shutil
import stat
import subprocess
import sys
import tomllib
import zipfile
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WINGS = ("problems", "estimators", "optimizers")
SOURCES = {
    ("" if folder == "invopt" else "invopt/") + path.relative_to(ROOT).as_posix()
    for folder in ("invopt", *WINGS)
    for path in (ROOT / folder).rglob("*.py")
}


def build(folder, out, *kinds):
    """Build from a folder, with no network; returns the wheel."""
    command = [sys.executable, "-m", "build", *kinds, "--no-isolation", "--outdir", str(out), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build(ROOT, tmp_path_factory.mktemp("wheel"), "--wheel")


@pytest.fixture(scope="module")
def files(wheel):
    return zipfile.ZipFile(wheel).namelist()


def test_one_top_level_package_of_real_files(wheel, files):
    tops = {name.split("/")[0] for name in files}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"invopt"}
    assert not any(stat.S_ISLNK(info.external_attr >> 16) for info in zipfile.ZipFile(wheel).infolist())


def test_types_and_licence_are_inside(files):
    assert "invopt/py.typed" in files
    assert any(name.endswith("licenses/LICENSE") for name in files)


def test_every_source_is_inside_once_and_nothing_else(files):
    assert sorted(name for name in files if name.endswith(".py")) == sorted(SOURCES)


def test_the_command_is_inside(wheel, files):
    (name,) = (name for name in files if name.endswith("entry_points.txt"))
    assert "invopt = invopt.cli:main" in zipfile.ZipFile(wheel).read(name).decode().splitlines()


@pytest.mark.parametrize("links", [True, False], ids=["a source distribution", "a checkout without links"])
def test_the_same_wheel_comes_from(links, wheel, tmp_path):
    copy = tmp_path / "invopt"
    passing = shutil.ignore_patterns("__pycache__", "build", "dist", "out", "_build", "gallery", ".venv*", ".*_cache")
    shutil.copytree(ROOT, copy, symlinks=True, ignore=passing)
    if links:
        # Without a kind, a source distribution is built, and the wheel from that.
        again = build(copy, tmp_path / "out")
        assert len(list((tmp_path / "out").glob("*.tar.gz"))) == 1
    else:
        for wing in WINGS:
            (copy / "invopt" / wing).unlink()
            (copy / "invopt" / wing).write_text(f"../{wing}")
        again = build(copy, tmp_path / "out", "--wheel")
    assert again.read_bytes() == wheel.read_bytes()


def test_wheel_imports_on_its_own_and_loads_no_renderer(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import invopt; "
        "print({'mitsuba', 'drjit', 'matplotlib.pyplot'} & sys.modules.keys()); "
        "print(*{module.__file__ for name, module in sys.modules.items() if name.split('.')[0] == 'invopt'}, sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    renderers, *imported = done.stdout.splitlines()
    assert renderers == "set()"
    assert len(imported) > 100
    assert all(Path(file).is_relative_to(tmp_path) for file in imported)


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
