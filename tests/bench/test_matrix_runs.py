"""The matrix as a whole: resumed after every kind of end, tables that are checked, parts of a third party's."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pyarrow.parquet as pq
import pytest

from invopt.bench import store as stores
from invopt.bench.cell import Cell, Outcome
from invopt.bench.matrix import bench
from invopt.bench.presets import presets
from invopt.bench.results.figures import relative_error
from invopt.bench.results.markdown import number, verdicts
from invopt.bench.results.paper import REFERENCE, RIVALS, TABLE_2
from invopt.bench.results.table import column, load, write_table
from invopt.bench.runner import BenchError, run_cells
from invopt.bench.store import ResultsError, Store
from invopt.cli import main
from invopt.exceptions import InvoptError

TIMED = re.compile("seconds")


def untimed(results):
    """Everything of the tidy table but seconds."""
    return [{k: v for k, v in row.items() if not TIMED.search(k)} for row in results.rows]


def same(first, second):
    np.testing.assert_equal(untimed(first), untimed(second))
    for a, b in zip(first.outcomes, second.outcomes, strict=True):
        for name in a.arrays:
            if not TIMED.search(name):
                np.testing.assert_array_equal(a.arrays[name], b.arrays[name])


def command(*arguments):
    return [sys.executable, "-c", "from invopt.cli import main; main()", *map(str, arguments)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small matrix, run once."""
    folder = tmp_path_factory.mktemp("bench") / "out"
    summary = bench(
        ["quad", "box2"],
        ["paper-hvpa", "paper-fr22", "nelder-mead", "mitsuba"],
        out=folder,
        seeds=3,
        size="tiny",
        workers=2,
        progress=False,
    )
    assert summary.cells == 21
    assert not summary.failures
    assert list(summary.refused) == ["box2 mitsuba"]
    return folder


@pytest.mark.timeout(120)
def test_killed_and_run_again_gives_the_same_table(finished, tmp_path):
    arguments = ["bench", "quad", "box2", "--methods", "paper-hvpa,paper-fr22,nelder-mead,mitsuba", "--seeds", 3]
    arguments += ["--size", "tiny", "--out", tmp_path / "out"]
    process = subprocess.Popen(command(*arguments), stdout=subprocess.DEVNULL, start_new_session=True)
    while len(list(tmp_path.glob("out/cells/*/*/*.npz"))) < 3:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/cells/*/*/*.npz")}
    assert 3 <= len(kept) < 21
    with pytest.raises(ResultsError, match=r"\d+ of 21 runs are missing .*: repeat the command .* invopt bench quad"):
        load(tmp_path / "out")
    done = subprocess.run(command(*arguments), capture_output=True, text=True, check=True)
    assert "21 cells" in done.stdout
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    same(load(finished), load(tmp_path / "out"))
    assert not list(tmp_path.glob("out/**/*.part"))


@pytest.mark.timeout(120)
def test_ctrl_c_keeps_what_is_finished(tmp_path):
    arguments = command(
        "bench", "box10", "--methods", "paper-g", "--seeds", 99, "--size", "tiny", "--out", tmp_path / "out"
    )
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("out/cells/*/*/*.npz")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "finished cells are kept" in out
    assert "Traceback" not in err


def test_rows_are_tidy(finished, tmp_path):
    results = load(finished)
    write_table(results, tmp_path / "table.parquet")
    table = pq.read_table(tmp_path / "table.parquet")
    assert table.num_rows == 21
    assert {"task", "method", "seed", "nfev", "seconds", column("renders", "image", 0.01), "x"} <= set(
        table.column_names
    )
    assert results.spread("quad", "nelder-mead", column("renders", "parameter", 0.1))[3:] == (3, 3)


def test_a_folder_of_another_run_says_what_differs(finished, tmp_path):
    with pytest.raises(ResultsError, match="size: 'tiny' there, 'default' now"):
        bench(["quad"], ["nelder-mead"], out=finished, seeds=1, progress=False)
    with pytest.raises(ResultsError, match="maxfev: None there, 50 now"):
        bench(["quad"], ["nelder-mead"], out=finished, seeds=1, size="tiny", maxfev=50, progress=False)
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ResultsError, match="neither empty nor a folder of `invopt bench`"):
        bench(["quad"], ["nelder-mead"], out=tmp_path, progress=False)
    with pytest.raises(ResultsError, match=r"no run\.json"):
        load(tmp_path)


def copied(finished, tmp_path):
    subprocess.run(["cp", "-r", finished, tmp_path / "copy"], check=True)
    return Store(tmp_path / "copy")


def test_a_method_that_is_given_fewer_starts_is_noticed(finished, tmp_path):
    store = copied(finished, tmp_path)
    run = store.describe()
    run["cells"].remove(["quad", "nelder-mead", 2])
    (store.folder / "run.json").write_text(json.dumps(run))
    (store.folder / "cells/quad/nelder-mead/2.npz").unlink()
    with pytest.raises(ResultsError, match="nelder-mead had 2 of the 3 starts of quad"):
        load(store.folder)


def changed(store, path, **facts):
    outcome = store.read(path)
    record = outcome.record | facts
    cell = Cell(task=record["task"], method=record["method"], seed=record["seed"], maxfev=1)
    store.write(cell, Outcome(record, outcome.arrays))


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"x0_digest": "0" * 16}, "mitsuba did not begin at start 1 of quad"),
        ({"maxfev": 800}, r"different budgets on quad: \[400, 800\]"),
    ],
)
def test_other_starts_and_budgets_are_noticed(finished, tmp_path, facts, message):
    store = copied(finished, tmp_path)
    changed(store, store.folder / "cells/quad/mitsuba/1.npz", **facts)
    with pytest.raises(ResultsError, match=message):
        load(store.folder)


def test_a_damaged_cell_is_named(finished, tmp_path):
    store = copied(finished, tmp_path)
    path = store.folder / "cells/quad/mitsuba/1.npz"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ResultsError, match=r"mitsuba/1.npz' cannot be read .* delete it"):
        load(store.folder)


def main_ends_well():
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0


def test_failures_count_as_infinite_and_are_listed(finished, tmp_path, monkeypatch, capsys):
    store = copied(finished, tmp_path)
    for seed in (0, 1):
        path = store.folder / f"cells/quad/nelder-mead/{seed}.npz"
        record = store.read(path).record | {"failure": "RuntimeError: it broke"}
        store.write(Cell(task="quad", method="nelder-mead", seed=seed, maxfev=1), Outcome(record, {}))
    results = load(store.folder)
    middle, _, _, solved, total = results.spread("quad", "nelder-mead", column("renders", "parameter", 0.1))
    assert (middle, solved, total) == (np.inf, 1, 3)
    monkeypatch.setattr(sys, "argv", ["invopt", "table", str(store.folder)])
    main_ends_well()
    assert "BOX2: ratio to OurHVPA" in capsys.readouterr().out
    assert pq.read_table(store.folder / "table.parquet").num_rows == 21
    assert {path.stem for path in store.folder.glob("plots/*.png")} == {"quad", "box2", "profiles", "variance"}
    text = (store.folder / "RESULTS.md").read_text()
    assert re.search(r"\| `nelder-mead` \| ∞ \[∞, ∞\] 1/3 \|", text[text.index("## Every method") :])
    assert "| QUAD | FR22 against OurHVPA | 3.17 |" in text
    assert "- quad `nelder-mead`, start 1: RuntimeError: it broke" in text
    assert "`box2 mitsuba`: Autodiff needs JAC" in text


def test_a_full_disk_ends_the_run_and_leaves_no_half_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(stores.os, "fsync", full)
    store = Store(tmp_path)
    with pytest.raises(OSError, match="No space left"):
        store.write(Cell(task="quad", method="x", seed=0, maxfev=1), Outcome({}, {}))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_worker_that_cannot_write_ends_the_run_with_the_reason(tmp_path):
    (tmp_path / "cells").mkdir(parents=True)
    # Where the folder of the task should be there is a file.
    (tmp_path / "run.json").write_text("{}")
    store = Store(tmp_path / "out")
    store.folder.mkdir()
    (store.folder / "cells").write_text("")
    cell = Cell(task="quad", method="nelder-mead", seed=0, size="tiny", maxfev=50)
    with pytest.raises(BenchError, match="cannot write .*finished cells are kept"):
        run_cells([cell], store, 1, lambda cell, failure: None)


THIRD_PARTY = """
    import os, signal
    import attrs, numpy as np, torch
    from invopt import Objective, Problem, estimators, optimizers
    from invopt.bench.presets import Preset

    class Bowl(Objective):
        def fun(self, x, *, seed, spp=None):
            return (x - 1).square().sum(1)

    @attrs.frozen(kw_only=True, eq=False)
    class Toy(Problem):
        x0 = property(lambda self: np.zeros(2))
        x_opt = property(lambda self: np.ones(2))
        fun_opt = property(lambda self: 0.0)
        def open(self):
            return Bowl()

    @attrs.frozen(kw_only=True)
    class Leap(optimizers.GradientDescent):
        def step(self, x, estimate, state, oracle):
            return torch.ones_like(x), state

    @attrs.frozen(kw_only=True)
    class Crash(optimizers.GradientDescent):
        def step(self, x, estimate, state, oracle):
            os.kill(os.getpid(), signal.SIGKILL)

    preset = Preset(estimators.FiniteDifference, lambda problem, x0: Leap())
    crash = Preset(estimators.FiniteDifference, lambda problem, x0: Crash())
"""
ENTRIES = """
    [invopt.problems]
    toy = toy_package:Toy
    [invopt.optimizers]
    leap = toy_package:Leap
    [invopt.presets]
    toy-preset = toy_package:preset
    toy-crash = toy_package:crash
"""


@pytest.mark.timeout(120)
def test_parts_of_a_third_party_join_and_a_process_that_dies_is_one_failure(tmp_path):
    (tmp_path / "toy_package.py").write_text(textwrap.dedent(THIRD_PARTY))
    info = tmp_path / "toy_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(textwrap.dedent(ENTRIES))
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    methods = "toy-crash,toy-preset,fd+leap,nelder-mead"
    arguments = command("bench", "toy", "--methods", methods, "--seeds", 1, "--size", "tiny", "--out", "out")
    done = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert "failed: toy toy-crash 0: its process died (killed by signal 9); see logs/worker-0.log" in done.stdout
    code = "import json; from invopt.bench.results.table import load; print(json.dumps(load('out').rows))"
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    name = column("renders", "parameter", 0.001)
    found = {row["method"]: row[name] for row in json.loads(shown.stdout)}
    assert found["toy-preset"] == found["fd+leap"] == 8
    assert found["toy-crash"] == np.inf > found["nelder-mead"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bench", "mugg"], "did you mean 'mug'"),
        (["bench", "quad", "--methods", "nelder"], "did you mean 'nelder-mead'"),
        (["bench", "quad", "--seeds", 0], "'seeds' must be >= 1: 0"),
        (["bench", "quad", "--workers", 0], "'workers' must be >= 1: 0"),
        (["bench", "quad", "--size", "big"], "'size' must be one of"),
        (["table", "nowhere"], "is not a folder of `invopt bench`"),
    ],
)
def test_bad_input_is_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["invopt", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert len(shown.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_relative_errors_are_those_held_at_a_count():
    arrays = {
        "nfev": np.array([4, 8, 12]),
        "parameter_error": np.array([8.0, 4.0, 0.8]),
        "image_row": np.array([0, 2]),
        "image_error": np.array([2.0, 1.0]),
    }
    outcome = Outcome({}, arrays)
    counts = np.array([3.0, 4.0, 7.9, 8.0, 11.0, 12.0, 99.0])
    np.testing.assert_allclose(relative_error(outcome, "parameter", counts), [1, 1, 1, 0.5, 0.5, 0.1, 0.1])
    np.testing.assert_allclose(relative_error(outcome, "image", counts), [1, 1, 1, 1, 1, 0.5, 0.5])
    assert np.isinf(relative_error(Outcome({}, {}), "image", counts)).all()


def test_verdicts_compare_the_order_and_the_size(finished):
    results = load(finished)
    found = {(task, rival): (paper, ours) for task, rival, paper, ours, _ in verdicts(results)}
    costs = [results.spread("quad", m, column("renders", "parameter", 0.01))[0] for m in ("paper-fr22", REFERENCE)]
    assert found["quad", "FR22"] == (3.17, costs[0] / costs[1])
    assert {*RIVALS.values(), REFERENCE} <= set(presets())
    assert {rival for row in TABLE_2.values() for rival in row} == set(RIVALS)


def test_numbers():
    assert [number(v) for v in (np.nan, np.inf, 1.234, 0.05, 12345.0)] == ["-", "∞", "1.23", "0.05", "12345"]


def test_pyarrow_is_asked_for(finished, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InvoptError, match=r"pip install 'invopt\[bench\]'"):
        write_table(load(finished), tmp_path / "table.parquet")
