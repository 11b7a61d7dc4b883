"""Runs that are watched: in a terminal, in a notebook, as a page of a journal."""

import io
import sqlite3
import sys
from contextlib import closing
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

import invopt
from invopt import problems
from invopt.cli import app
from invopt.exceptions import JournalError
from invopt.report.live.glimpse import Glimpse
from invopt.report.live.pace import Pace
from invopt.report.live.page import page
from invopt.report.live.terminal import TerminalScreen, half_blocks
from invopt.report.live.watching import watch

BOX = problems.Box2(resolution=24)


def test_at_most_one_drawing_a_second_and_a_tenth_of_the_time():
    now = [100.0]
    pace = Pace(lambda: now[0])
    assert pace.is_due
    for seconds, pause in ((0.01, 1.0), (2.0, 18.0)):
        with pace.drawing():
            now[0] += seconds
        now[0] += pause - 1e-6
        assert not pace.is_due
        now[0] += 2e-6
        assert pace.is_due


def colors(text):
    """Levels of the pixels that half blocks show, shape (height, width, 3)."""
    cells = [span.style for span in text.spans]
    lines = text.plain.rstrip("\n").split("\n")
    rows = np.array([[style.color.triplet, style.bgcolor.triplet] for style in cells])
    return rows.reshape(len(lines), len(lines[0]), 2, 3).swapaxes(1, 2).reshape(2 * len(lines), len(lines[0]), 3)


def test_pictures_of_half_blocks():
    levels = np.random.default_rng(0).integers(0, 256, (4, 6, 3))
    np.testing.assert_array_equal(colors(half_blocks(levels / 255)), levels)
    # Means of blocks of two by two.
    fine = np.kron(levels, np.ones((2, 2, 1)))
    np.testing.assert_array_equal(colors(half_blocks(fine / 255, columns=6)), levels)
    assert colors(half_blocks(np.ones((30, 100, 3)), columns=20)).shape == (6, 20, 3)
    assert colors(half_blocks(np.ones((1, 3, 3)))).shape == (2, 3, 3)
    assert (colors(half_blocks(np.ones((7, 5, 3)))) == 255).all()


def glimpse(**facts):
    shown = {
        "title": "Box <one>",
        "facts": {"value": "0.25"},
        "rows": (("across", "0.5", "0.75"),),
        "nfev": np.arange(1.0, 4),
        "fun": np.array([3.0, np.nan, 1.0]),
    }
    return Glimpse(**(shown | facts))


def test_a_terminal_shows_a_table_and_pictures():
    file = io.StringIO()
    pictures = {name: np.full((8, 8, 3), 0.5) for name in ("start", "now", "target", "difference")}
    with TerminalScreen(Console(file=file, force_terminal=True, width=90)) as screen:
        screen.show(glimpse())
        screen.show(glimpse(pictures=pictures))
    printed = file.getvalue()
    for word in ("Box <one>", "across", "0.75", "target", "\u2580"):
        assert word in printed
    assert "difference" not in printed


def test_a_page_needs_no_other_file():
    shown = page(glimpse(pictures={"now": np.zeros((4, 4, 3))}), refresh=0.2)
    assert '<meta http-equiv="refresh" content="1">' in shown
    assert "<title>Box &lt;one&gt;</title>" in shown
    assert "<td>across</td><td>0.5</td><td>0.75</td>" in shown
    assert shown.count("data:image/png;base64,") == 1
    assert "http:" not in shown
    assert "refresh" not in page(glimpse())


@pytest.mark.parametrize("problem", ["quad", BOX], ids=["quad", "box2"])
def test_a_live_run_has_the_bits_of_a_plain_one(problem, capsys):
    options = {"estimator": "fr22", "method": "adam", "rng": 0, "maxfev": 60}
    plain = invopt.minimize(problem, progress=False, **options)
    assert capsys.readouterr() == ("", "")
    live = invopt.minimize(problem, progress="live", **options)
    assert (live.x == plain.x).all()
    assert (live.history.fun == plain.history.fun).all()
    printed, shown = capsys.readouterr()
    assert printed == ""
    for word in ("start", "now", f"{live.nit}", *plain.problem.names):
        assert word in shown
    assert ("target" in shown) == (problem is BOX)


def test_a_live_run_of_a_network(capsys):
    """Its weights are no parameters to be read."""
    black_box = problems.Function(fun=lambda x, target: float(((x - target) ** 2).sum()), x0=[0.0, 0.0], targeted=True)
    network = torch.nn.Linear(4, 2, dtype=torch.float64)
    problem = problems.GreyBox(network, black_box, np.ones((3, 4)), targets=np.arange(3.0))
    res = invopt.minimize(problem, rng=0, maxiter=3, progress="live")
    shown = capsys.readouterr().err
    assert "GreyBox" in shown
    assert "iterations" in shown
    assert not any(name in shown for name in problem.names)
    assert (res.x == invopt.minimize(problem, rng=0, maxiter=3).x).all()


@pytest.fixture
def notebook(monkeypatch):
    """Stands for IPython in the kernel of a notebook; returns what it has shown."""
    shown = []
    handle = SimpleNamespace(update=shown.append)

    def display(content, display_id):
        shown.append(content)
        return handle

    shell, tools = ModuleType("IPython"), ModuleType("IPython.display")
    shell.get_ipython = lambda: SimpleNamespace(kernel=None)
    tools.display, tools.HTML = display, lambda text: text
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setitem(sys.modules, "IPython.display", tools)
    return shown


def test_a_notebook_shows_the_same_below_its_cell(notebook, capsys):
    res = invopt.minimize(BOX, "fr22", "adam", rng=0, maxfev=60, progress="live")
    assert len(notebook) >= 2
    assert "data:image/png;base64," in notebook[-1]
    assert f"<td>{BOX.readable(res.x_last)[BOX.names[0]]}</td>" in notebook[-1]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("progress", ["liv", "", "True"])
def test_another_word(progress):
    with pytest.raises(TypeError, match="'progress' must be a bool or 'live'"):
        invopt.minimize("quad", progress=progress)


# Journals


@pytest.fixture
def journal(tmp_path):
    path = tmp_path / "runs.sqlite"
    invopt.minimize("quad", rng=0, maxfev=30, journal=path)
    invopt.minimize(BOX, "fr22", "adam", rng=0, maxfev=40, journal=path)
    return invopt.Journal(path)


def end(journal, status):
    with closing(sqlite3.connect(journal.path)) as connection, connection:
        connection.execute(
            "UPDATE run SET status = ?, message = ?, x = NULL, fun = NULL WHERE id = 2", (status, status)
        )


def test_a_run_is_watched_to_its_end(journal, tmp_path):
    end(journal, None)
    slept, texts, out = [], [], tmp_path / "pages" / "watch.html"

    def sleep(seconds):
        slept.append(seconds)
        texts.append(out.read_text())
        if len(slept) == 2:
            end(journal, "MAXFEV")

    seen = list(watch(journal, out, every=5.0, sleep=sleep))
    assert slept == [5.0, 5.0]
    assert [one.title for one in seen] == ["Box2, FR22, Adam: running"] * 2 + ["Box2, FR22, Adam: MAXFEV"]
    assert all('content="5"' in text for text in texts)
    assert "refresh" not in out.read_text()
    found = journal.evaluations(2)
    assert seen[0].facts == {
        "lowest value": f"{found.fun.min():.4g}",
        "evaluations": str(len(found)),
        "seconds": f"{found.clock[-1]:.0f}",
    }
    np.testing.assert_array_equal(seen[0].fun, found.fun)
    best = found.x[found.fun.argmin()]
    assert [row[2] for row in seen[0].rows] == [f"{value:.5g}" for value in best]
    assert seen[0].pictures == {}


def test_pictures_of_the_problem_of_a_run(journal, tmp_path):
    (shown,) = watch(journal, tmp_path / "watch.html", problem=BOX)
    assert list(shown.pictures) == ["start", "now", "target", "difference"]
    answer = journal.runs[1].x
    assert [row[2] for row in shown.rows] == list(BOX.readable(answer).values())
    with BOX.open() as live:
        np.testing.assert_allclose(shown.pictures["now"][:, :, 0] > 0.5, live.image(answer) > 0.25)
    with pytest.raises(
        JournalError, match="the run has the parameters .*, and the problem .*: give the problem of the"
    ):
        list(watch(journal, tmp_path / "watch.html", run=1, problem=BOX))


def test_a_run_that_has_evaluated_nothing(journal, tmp_path):
    with closing(sqlite3.connect(journal.path)) as connection, connection:
        connection.execute("DELETE FROM evaluation WHERE run = 2")
    end(journal, None)
    (shown,) = watch(journal, tmp_path / "watch.html", problem=BOX, once=True)
    assert (shown.rows, shown.facts["evaluations"], shown.facts["lowest value"]) == ((), "0", "")


def test_the_command(journal, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["watch", "runs.sqlite", "--run", "1", "--problem", "quad", "--out", "page.html"])
    assert done.exit_code == 0, done.exception
    assert "wrote page.html" in done.output
    assert "<td>x0</td>" in (tmp_path / "page.html").read_text()
    for arguments, message in (
        (["--run", "7"], "'runs.sqlite' has no run 7"),
        (["--every", "0"], "'--every' must be > 0 and finite: 0.0"),
        (["--problem", "mugg"], "unknown problem 'mugg'; did you mean 'mug'"),
    ):
        done = CliRunner().invoke(app, ["watch", "runs.sqlite", *arguments])
        assert message in str(done.exception)
