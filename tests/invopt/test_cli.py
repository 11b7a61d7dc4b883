"""The command line, as a user types it."""

import json
import sys

import matplotlib.image
import pytest

from invopt import cli


def invopt(*arguments, capsys=None, monkeypatch=None):
    """Run the command in this process; return its exit code."""
    monkeypatch.setattr(sys, "argv", ["invopt", *arguments])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code or 0


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*arguments):
        code = invopt(*arguments, monkeypatch=monkeypatch)
        return code, *capsys.readouterr()

    return call


def test_run_prints_a_table_and_writes_pictures_and_the_record(run, tmp_path):
    out = tmp_path / "new" / "folder"
    code, printed, _ = run("run", "box2", "--maxfev", "120", "--seed", "3", "--out", str(out))
    assert code == 0
    for word in ("start", "found", "truth", "across", "parameter error", "evaluations", "seconds"):
        assert word in printed
    for name in ("start", "found", "target", "difference"):
        assert matplotlib.image.imread(out / f"{name}.png").shape[:2] == (500, 500)
    assert (out / "convergence.png").stat().st_size > 5_000
    record = json.loads((out / "result.json").read_text())
    assert record["nfev"] <= 120
    assert len(record["history"]["fun"]) == len(record["history"]["nfev"])


@pytest.mark.render
def test_run_mug(run, tmp_path):
    code, printed, _ = run("run", "mug", "--maxfev", "12", "--out", str(tmp_path))
    assert code == 0
    assert "rotation" in printed
    assert matplotlib.image.imread(tmp_path / "found.png").shape[:2] == (64, 64)


@pytest.mark.render
@pytest.mark.parametrize("name", ["mug", "shadow", "bunny", "texture"])
def test_tasks_end_at_the_noise_and_say_so(run, name):
    code, printed, _ = run("run", name, "--set", "size=tiny")
    assert code == 0
    assert "as precise as the noise allows" in " ".join(printed.split())


def test_run_options(run):
    code, printed, _ = run("run", "quad", "--estimator", "fr22", "--method", "adam", "--sigma", "0.5", "--maxfev", "40")
    assert code == 0
    assert "Quadratic: evaluation budget spent" in printed


def test_run_live(run):
    code, printed, shown = run("run", "box2", "--maxfev", "30", "--live")
    assert code == 0
    assert "target" in shown
    assert "evaluations" in printed


def test_the_same_seed_prints_the_same_answer(run):
    first, second, third = (run("run", "quad", "--maxfev", "40", "--seed", s)[1].splitlines() for s in ("1", "1", "2"))
    rows = [[line for line in printed if "x0" in line] for printed in (first, second, third)]
    assert rows[0] == rows[1] != rows[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "mugg"], "unknown problem 'mugg'; did you mean 'mug'"),
        (["run", "quad", "--estimator", "fr23"], "unknown estimator 'fr23'; did you mean 'fr22'"),
        (["run", "quad", "--method", "adamm"], "unknown optimizer 'adamm'; did you mean 'adam'"),
        (["run", "quad", "--sigma", "-1"], "'sigma' must be > 0 and finite: -1.0"),
        (["run", "quad", "--sigma", "1", "--estimator", "fd"], "'sigma' is no option of the estimator 'fd'"),
        (["run", "quad", "--maxfev", "0"], "'maxfev' must be >= 1: 0"),
        (["run", "quad", "--seed", "-1"], "'seed' must be >= 0: -1"),
        (["run", "quad", "--estimator", "fr22", "--method", "newton"], "Newton needs HESS"),
        (["run", "function"], "cannot be made from its name alone"),
        (["run", "quad", "--out", "/dev/null/out"], "Not a directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_error_is_one_line(run, arguments, message):
    code, printed, complained = run(*arguments)
    assert code == 2
    assert message in complained
    assert complained.count("\n") == 1
    assert printed == ""


def test_list_and_doctor(run):
    code, printed, _ = run("list")
    assert code == 0
    for name in ("mug", "box10", "shared-samples", "fletcher-reeves-cg", "scipy"):
        assert name in printed
    code, printed, _ = run("doctor")
    assert code == 0
    assert "backend" in printed


def test_help_costs_no_renderer(program):
    """Commands that only list names must not load Mitsuba."""
    script = (
        "import sys; from invopt import cli; sys.argv = ['invopt', 'list']\ntry: cli.main()\nexcept SystemExit: pass\n"
    )
    done = program(script + "assert not {'mitsuba', 'drjit', 'matplotlib.pyplot'} & set(sys.modules)")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["[/]", "[red]x", "a[/b]"])
def test_errors_are_shown_as_they_are(run, name):
    """Brackets must not be interpreted as markup."""
    code, _, said = run("journal", name)
    assert code == 2
    assert name in said


def test_list_reads_as_plain_text(run):
    _, printed, _ = run("list")
    assert "kind" in printed
    assert len(printed.splitlines()) > 50
    for line in printed.splitlines():
        assert not [mark for mark in ("\\", "of )", "[1]_", "[2]_", ":math:") if mark in line], line
