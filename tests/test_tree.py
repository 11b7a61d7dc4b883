"""Links to the wings inside the package: every tool sees each file once."""

import contextlib
import importlib
import inspect
import json
import os
import pkgutil
import runpy
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import hatchling.build
import pytest

import invopt
from invopt import cli, estimators, optimizers, problems
from invopt.bench import matrix
from invopt.run.keeping.run_identity import part_digests

ROOT = Path(__file__).parents[1]
WINGS = ("problems", "estimators", "optimizers")
FOLDERS = ("invopt", *WINGS)
FILES = ("pyproject.toml", "README.md", "LICENSE", "Makefile")
SOURCES = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]


def checkout(holder):
    """A copy of this checkout in a folder named invopt, with its links."""
    copy = holder / "invopt"
    copy.mkdir(parents=True)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, copy / name)
    return copy


def unlink(copy):
    """Replace links by text files, as git does without support for links."""
    for wing in WINGS:
        (copy / "invopt" / wing).unlink()
        (copy / "invopt" / wing).write_text(f"../{wing}")


def environment_of(copy, folder):
    """Python of a virtual environment with an installed copy, as `make setup` makes it."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    with contextlib.chdir(copy):
        built = folder / hatchling.build.build_editable(str(folder))
    site_packages = Path(answer(python, "import sysconfig; print(sysconfig.get_paths()['purelib'])").strip())
    zipfile.ZipFile(built).extractall(site_packages)
    # What invopt needs comes from where this process has it, without the checkout that is installed there.
    needed = [entry for entry in sys.path if Path(entry).name == "site-packages"]
    (site_packages / "needed.pth").write_text("\n".join(needed))
    return python


def answer(python, *arguments, cwd=None, path=""):
    """Output of a Python program."""
    environment = os.environ | {"PYTHONPATH": str(path), "COLUMNS": "200"}
    command = [str(python), *(["-c"] if len(arguments) == 1 else []), *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def a(tmp_path_factory):
    return checkout(tmp_path_factory.mktemp("a"))


@pytest.fixture(scope="module")
def b(tmp_path_factory):
    return checkout(tmp_path_factory.mktemp("b"))


@pytest.fixture(scope="module")
def python(a, tmp_path_factory):
    """Python of the environment of the checkout `a`."""
    return environment_of(a, tmp_path_factory.mktemp("environment") / ".venv")


def test_the_wings_are_links_inside_the_repository():
    for wing in WINGS:
        link = ROOT / "invopt" / wing
        assert link.is_symlink()
        assert os.readlink(link) == f"../{wing}"
        assert link.resolve() == (ROOT / wing).resolve()
        assert not (ROOT / wing).is_symlink()


def test_every_file_is_one_module():
    names = ["invopt", *(found.name for found in pkgutil.walk_packages(invopt.__path__, "invopt."))]
    for name in names:
        importlib.import_module(name)
    assert len(names) == len(SOURCES)
    ours = {path.resolve() for path in SOURCES}
    # A module that has moved is one object, under two names.
    modules = {id(module): module for module in list(sys.modules.values()) if getattr(module, "__file__", 0)}
    files = [Path(module.__file__).resolve() for module in modules.values()]
    assert sorted(file for file in files if file in ours) == sorted(ours)


@pytest.mark.parametrize("wing", WINGS)
def test_a_wing_has_no_second_name(wing, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    with pytest.raises(ImportError, match=f"this folder is invopt.{wing}, not {wing}: write `from invopt import"):
        importlib.import_module(wing)
    assert wing not in sys.modules


# The paths of the package and of its wings, without the seconds that importing them takes.
WHENCE = """
import json, sys
from importlib.util import find_spec
folders = find_spec("invopt").submodule_search_locations
found = [(f, f.find_spec(f"invopt.{w}", folders)) for w in %r for f in sys.meta_path if hasattr(f, "find_spec")]
print(json.dumps([*folders, *(spec.origin for _, spec in found if spec)]))
"""
WHENCE %= (WINGS,)


@pytest.mark.parametrize(
    ("start", "script", "first", "whole"),
    [
        pytest.param("{a}", None, "", "a", id="in the checkout"),
        pytest.param("{a}/..", None, "", "a", id="in the folder that holds it"),
        pytest.param("/", "{a}/../whence.py", "", "a", id="a script beside it"),
        pytest.param("{b}", "{a}/../whence.py", "", "a", id="a script beside it, from another checkout"),
        pytest.param("/", "{b}/problems/whence.py", "", "a", id="a script inside another checkout"),
        pytest.param("{b}/..", None, "", "a", id="in the folder that holds another checkout"),
        pytest.param("{b}", None, "", "b", id="in another checkout"),
        pytest.param("/", None, "{b}", "b", id="another checkout on the path"),
        pytest.param("/", "{b}/whence.py", "", "b", id="a script in the root of another checkout"),
    ],
)
def test_whichever_checkout_comes_first_is_taken_whole(a, b, python, start, script, first, whole):
    places = {"a": a, "b": b}
    arguments = [WHENCE]
    if script is not None:
        path = Path(script.format(**places))
        path.write_text(WHENCE)
        arguments = ["-B", path]
    printed = answer(python, *arguments, cwd=start.format(**places), path=first.format(**places))
    package = places[whole] / "invopt"
    found = [os.path.normpath(path) for path in json.loads(printed)]
    assert found == [str(package), *(f"{package}/{wing}/__init__.py" for wing in WINGS)]


def test_a_checkout_without_links_borrows_nothing(b, python, tmp_path):
    copy = shutil.copytree(b, tmp_path / "invopt", symlinks=True)
    unlink(copy)
    assert json.loads(answer(python, WHENCE, cwd=copy)) == [str(copy / "invopt")]


OWN_CODE = """
import subprocess, sys
from importlib.util import find_spec

def test_own_code():
    command = [sys.executable, "-P", "-c", "from importlib.util import find_spec; print(find_spec('invopt').origin)"]
    started = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")
    assert {find_spec("invopt").origin, started.stdout.strip()} == {%r}
"""


def test_pytest_tests_the_checkout_it_runs_in(b, python, tmp_path):
    copy = shutil.copytree(b, tmp_path / "invopt", symlinks=True)
    (copy / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "conftest.py", copy / "tests")
    (copy / "tests" / "test_own.py").write_text(OWN_CODE % str(copy / "invopt" / "__init__.py"))
    # The current folder is not on the path, as it is not of the command `pytest`.
    printed = answer(python, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=copy)
    assert "1 passed" in printed


# Everything at once, since importing takes seconds: parts, a run, digests, sources.
USE = """
import inspect, json, sys
import invopt
from invopt import estimators, optimizers, problems
from invopt.run.keeping.run_identity import part_digests

res = invopt.minimize(problems.Quadratic(), rng=0, maxfev=20)
files = [module.__file__ for name, module in sys.modules.items() if name.split(".")[0] == "invopt"]
digests = part_digests(estimators.SharedSamples(), optimizers.Newton())
print(json.dumps([res.x.tolist(), files, digests, inspect.getsource(problems.Mug)]))
"""


def test_a_script_beside_the_clone_works(a, python):
    (a.parent / "use.py").write_text(USE)
    x, files, digests, source = json.loads(answer(python, "-B", "use.py", cwd=a.parent))
    assert x == invopt.minimize(problems.Quadratic(), rng=0, maxfev=20).x.tolist()
    assert len(files) > 100
    assert all(Path(file).is_relative_to(a / "invopt") for file in files)
    # What a part is does not depend on where its file lies.
    assert digests == part_digests(estimators.SharedSamples(), optimizers.Newton())
    assert source == inspect.getsource(problems.Mug)


def test_processes_of_a_benchmark_ignore_the_checkout_they_start_in(tmp_path, monkeypatch):
    (tmp_path / "invopt").mkdir()
    (tmp_path / "invopt" / "__init__.py").write_text("raise ImportError('the wrong checkout')")
    monkeypatch.chdir(tmp_path)
    # As a command has it, and a script that lies elsewhere: the current folder is not on the path.
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(tmp_path))])
    summary = matrix.bench(["quad"], ["nelder-mead"], out=tmp_path / "out", seeds=1, size="tiny", workers=1)
    assert summary.cells == 1
    assert not summary.failures


@pytest.mark.parametrize("arguments", [["list"], ["run"], ["run", "mugg"], ["--help"]], ids=" ".join)
def test_python_m_invopt_is_the_command(arguments, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    outcomes = []
    for first, call in [("invopt", cli.main), ("__main__.py", _run_as_module)]:
        monkeypatch.setattr(sys, "argv", [first, *arguments])
        monkeypatch.delitem(sys.modules, "invopt.__main__", raising=False)
        with pytest.raises(SystemExit) as ended:
            call()
        outcomes.append((ended.value.code, *capsys.readouterr()))
    assert outcomes[0] == outcomes[1]
    assert any(outcomes[0][1:])
    assert "python -m" not in str(outcomes)


def _run_as_module():
    runpy.run_module("invopt", run_name="__main__", alter_sys=True)


def git(*arguments, cwd):
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", *identity, *map(str, arguments)], cwd=cwd, check=True, capture_output=True)


@pytest.mark.parametrize("clone", [True, False], ids=["a clone", "a zip file"])
def test_make_says_how_to_get_the_links(tmp_path, clone):
    copy, advice = tmp_path / "invopt", "In a git clone" if clone else "Elsewhere"
    if clone:
        checkout(tmp_path / "origin")
        for arguments in (["init"], ["add", "."], ["commit", "-m", "all"]):
            git(*arguments, cwd=tmp_path / "origin" / "invopt")
        git("clone", "-c", "core.symlinks=false", "origin/invopt", copy, cwd=tmp_path)
    else:
        checkout(tmp_path)
        unlink(copy)
    assert (copy / "invopt" / "problems").read_text() == "../problems"
    done = subprocess.run(["make", "setup"], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "invopt/problems must be a symbolic link to ../problems" in done.stderr
    assert not (copy / ".venv").exists()
    # Doing as it says helps.
    lines = done.stderr[done.stderr.index(advice) :].splitlines()[1:]
    said = [line for i, line in enumerate(lines) if all(before.startswith("  ") for before in lines[: i + 1])]
    subprocess.run("\n".join(said), shell=True, cwd=copy, check=True, capture_output=True)
    assert all((copy / "invopt" / wing).is_symlink() for wing in WINGS)
    subprocess.run(["make", "links"], cwd=copy, check=True, capture_output=True)
