"""The package of the page "Write your own part", built and installed as a user would, without a network."""

import contextlib
import json
import os
import re
import sys
import zipfile
from importlib import import_module
from pathlib import Path

import hatchling.build
import pytest

from invopt import testing
from invopt.bench.results.table import column

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "examples" / "own_part"
PAGE = ROOT / "docs" / "own_part.rst"
CHECKS = {
    "LightBarrier": testing.PROBLEM_CHECKS,
    "RandomDirections": testing.ESTIMATOR_CHECKS,
    "Signum": testing.OPTIMIZER_CHECKS,
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Folder that holds what the wheel of the package holds, its entry points included."""
    folder = tmp_path_factory.mktemp("installed")
    with contextlib.chdir(PACKAGE):
        wheel = hatchling.build.build_wheel(str(folder))
    zipfile.ZipFile(folder / wheel).extractall(folder)
    return folder


@pytest.fixture
def user(installed, tmp_path, python):
    """Runs Python in a folder of the user's, the package being installed; returns what is printed."""

    def call(*arguments):
        environment = os.environ | {"PYTHONPATH": str(installed), "COLUMNS": "200"}
        done = python(*map(str, arguments), cwd=tmp_path, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return call


def test_its_own_tests_pass(user, tmp_path):
    printed = user("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, PACKAGE / "tests")
    assert "14 passed" in printed


def test_the_parts_are_listed(user):
    rows = [[cell.strip() for cell in line.split("│")] for line in user("-m", "invopt", "list").splitlines()]
    found = {(row[1], row[2]): row[3] for row in rows if len(row) > 3}
    assert found["problems", "light-barrier"].startswith("Find a bar from the shadow")
    assert found["estimators", "random-directions"].startswith("Gradient from forward differences")
    assert found["optimizers", "signum"].startswith("Steps by the sign")


def test_a_cell_of_the_matrix_runs(user, tmp_path):
    methods = "random-directions+signum,fr22+signum,nelder-mead"
    user(
        "-m",
        "invopt",
        "bench",
        "light-barrier",
        "--methods",
        methods,
        "--seeds",
        1,
        "--size",
        "default",
        "--out",
        "out",
    )
    code = "import json; from invopt.bench.results.table import load; print(json.dumps(load('out').rows))"
    rows = {row["method"]: row for row in json.loads(user("-c", code))}
    assert set(rows) == set(methods.split(","))
    assert rows["random-directions+signum"][column("renders", "parameter", 0.1)] < 300


def test_the_command_line_sets_the_sigma_of_an_estimator_from_elsewhere(user):
    parts = ("--estimator", "random-directions", "--method", "signum")
    ran = ("-m", "invopt", "run", "light-barrier", *parts, "--maxfev", "30", "--sigma", "0.5", "--out", "out")
    user(*ran)
    code = "import json; print(json.load(open('out/result.json'))['estimator'])"
    assert "start=0.5, factor=0.97, ratio=0.2" in user("-c", code)


def blocks(language):
    """Code blocks of the page, without their indentation."""
    found = re.findall(rf"^\.\. code-block:: {language}\n\n((?:   .*\n|\n)+)", PAGE.read_text(), re.MULTILINE)
    return [re.sub(r"^   ", "", text, flags=re.MULTILINE).strip() for text in found]


def test_the_code_of_the_page_prints_what_the_page_says(user):
    code, *others = blocks("python")
    assert not others, "further code is to be checked"
    output = blocks("text")[0]
    assert user("-c", code).strip() == output


def test_the_page_shows_every_file_of_the_package():
    shown = {(PAGE.parent / name).resolve() for name in re.findall(r"literalinclude:: (\S+)", PAGE.read_text())}
    files = {path for path in PACKAGE.rglob("*") if path.suffix in {".py", ".toml"}}
    assert shown == files


@pytest.fixture
def parts(monkeypatch):
    monkeypatch.syspath_prepend(str(PACKAGE / "src"))
    yield import_module("own_part")
    for name in [name for name in sys.modules if name.split(".")[0] == "own_part"]:
        monkeypatch.delitem(sys.modules, name)


def failed(part):
    """Names of the contract checks that a part fails."""
    names = []
    for check in CHECKS[type(part).__name__]:
        try:
            check(part)
        except AssertionError:
            names.append(check.__name__)
    return names


@pytest.mark.parametrize("name", CHECKS)
def test_the_contract_is_kept(parts, name):
    assert not failed(getattr(parts, name)())


@pytest.mark.parametrize(
    ("name", "file", "sound", "broken", "caught"),
    [
        ("LightBarrier", "light_barrier", "[0.62, 0.25]", "[0.62, 0.65]", "problem_starts_inside"),
        ("LightBarrier", "light_barrier", "(dim=1)", "(dim=0)", "problem_evaluates"),
        ("LightBarrier", "light_barrier", "default_rng(s)", "default_rng()", "problem_evaluates"),
        ("LightBarrier", "light_barrier", ".square().mean", ".abs().mean", "problem_evaluates"),
        (
            "RandomDirections",
            "random_directions",
            "self.n_samples + 1",
            "self.n_samples",
            "estimator_counts_every_call",
        ),
        ("RandomDirections", "random_directions", "* directions / sigma", "* directions", "estimator_is_unbiased"),
        ("RandomDirections", "random_directions", "/ sigma\n", "/ sigma * 1.5\n", "estimator_is_unbiased"),
        ("RandomDirections", "random_directions", "rng.standard", "np.random.default_rng().standard", "repeatable"),
        ("Signum", "signum", "project(x - ", "project(x + ", "optimizer_descends"),
        ("Signum", "signum", "project(x - ", "project(x.sub_(0.1) - ", "optimizer_is_pure"),
        ("Signum", "signum", "mean.sign()", "mean / mean.abs()", "optimizer_survives_any_curvature"),
    ],
)
def test_a_broken_part_is_caught(parts, name, file, sound, broken, caught):
    text = (PACKAGE / "src" / "own_part" / f"{file}.py").read_text()
    assert sound in text
    start = testing.quadratic.START.clone()
    module = {"__name__": f"own_part.{file}"}
    exec(compile(text.replace(sound, broken), file, "exec"), module)
    sys.modules[f"own_part.{file}"].__dict__.update(module)  # where pickle looks
    try:
        assert any(caught in check for check in failed(module[name]()))
    finally:
        testing.quadratic.START.copy_(start)
