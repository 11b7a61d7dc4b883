"""Runs of the benchmark matrix: resuming after any interruption, refused input."""

import errno
import os
import signal
import sys
import time

import pytest

from invopt.bench import store as stores
from invopt.bench.cell import Cell, Outcome
from invopt.bench.matrix import bench
from invopt.bench.results.table import load
from invopt.bench.runner import BenchError, run_cells
from invopt.bench.store import ResultsError, Store
from invopt.cli import main

from .small_matrix import COMMAND, same


@pytest.mark.timeout(120)
def test_killed_and_run_again_gives_the_same_table(finished, tmp_path, program, started_program):
    arguments = ["bench", "quad", "box2", "--methods", "paper-hvpa,paper-fr22,nelder-mead,mitsuba", "--seeds", 3]
    arguments += ["--size", "tiny", "--out", tmp_path / "out"]
    process = started_program(COMMAND, *map(str, arguments))
    while len(list(tmp_path.glob("out/cells/*/*/*.npz"))) < 3:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/cells/*/*/*.npz")}
    assert 3 <= len(kept) < 21
    with pytest.raises(ResultsError, match=r"\d+ of 21 runs are missing .*: repeat the command .* invopt bench quad"):
        load(tmp_path / "out")
    done = program(COMMAND, *map(str, arguments), check=True)
    assert "21 cells" in done.stdout
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    same(load(finished), load(tmp_path / "out"))
    assert not list(tmp_path.glob("out/**/*.part"))


@pytest.mark.timeout(120)
def test_ctrl_c_keeps_what_is_finished(tmp_path, started_program):
    arguments = ["--methods", "paper-g", "--seeds", "99", "--size", "tiny", "--out", tmp_path / "out"]
    process = started_program(COMMAND, "bench", "box10", *arguments)
    while not list(tmp_path.glob("out/cells/*/*/*.npz")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "finished cells are kept" in out
    assert "Traceback" not in err


def test_a_folder_of_another_run_is_refused_with_the_difference(finished, tmp_path):
    with pytest.raises(ResultsError, match="size: 'tiny' there, 'default' now"):
        bench(["quad"], ["nelder-mead"], out=finished, seeds=1, progress=False)
    with pytest.raises(ResultsError, match="maxfev: None there, 50 now"):
        bench(["quad"], ["nelder-mead"], out=finished, seeds=1, size="tiny", maxfev=50, progress=False)
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ResultsError, match="neither empty nor a folder of `invopt bench`"):
        bench(["quad"], ["nelder-mead"], out=tmp_path, progress=False)
    with pytest.raises(ResultsError, match=r"no run\.json"):
        load(tmp_path)


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
