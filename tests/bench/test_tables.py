"""Benchmark tables: checks of the stored runs, and the numbers in the tables."""

import json
import re
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from invopt.bench.cell import Cell, Outcome
from invopt.bench.presets import presets
from invopt.bench.results.figures import relative_error
from invopt.bench.results.markdown import number, verdicts
from invopt.bench.results.paper import REFERENCE, RIVALS, TABLE_2
from invopt.bench.results.table import column, load, write_table
from invopt.bench.store import ResultsError
from invopt.cli import main
from invopt.exceptions import InvoptError

from .small_matrix import copied


def test_rows_are_tidy(finished, tmp_path):
    results = load(finished)
    write_table(results, tmp_path / "table.parquet")
    table = pq.read_table(tmp_path / "table.parquet")
    assert table.num_rows == 21
    assert {"task", "method", "seed", "nfev", "seconds", column("renders", "image", 0.01), "x"} <= set(
        table.column_names
    )
    assert results.spread("quad", "nelder-mead", column("renders", "parameter", 0.1))[3:] == (3, 3)


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
