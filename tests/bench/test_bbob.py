"""Functions of BBOB as problems, and the shares of their targets."""

import numpy as np
import pytest
import torch

pytest.importorskip("cocoex", reason="the extra bench is not installed")

from invopt.bench.bbob.problem import Bbob
from invopt.bench.bbob.runs import TARGETS, Row, run_one, table


def test_values_are_above_the_optimum_and_starts_belong_to_an_instance():
    sphere = Bbob(function=1, dimension=3, instance=2)
    assert sphere.fun_opt == 0.0
    np.testing.assert_array_equal(sphere.x0, Bbob(function=1, dimension=3, instance=2).x0)
    assert not np.array_equal(sphere.x0, Bbob(function=1, dimension=3, instance=3).x0)
    objective = sphere.open()
    values = objective.fun(torch.from_numpy(np.random.default_rng(0).normal(size=(20, 3))), seed=np.zeros(20))
    assert float(values.min()) > 0


def test_an_unknown_function_is_refused():
    with pytest.raises(ValueError, match="'function' must be"):
        Bbob(function=25, dimension=2)


def test_only_the_budget_counts():
    row = run_one(Bbob(function=1, dimension=2), "auto", 40, 60.0)
    assert row.failure is None
    assert row.lowest <= 1e-8
    assert row.returned == pytest.approx(row.lowest, abs=1e-12)
    short = run_one(Bbob(function=1, dimension=2), "auto", 1, 60.0)
    assert short.lowest > 1e-8


def test_the_table_has_shares_of_targets():
    def row(lowest, returned=0.0):
        return Row(
            function=1, dimension=2, instance=1, method="a", nfev=9, lowest=lowest, returned=returned, first=1.0,
            seconds=1.0, failure=None,
        )  # fmt: skip

    assert row(1e2).share == pytest.approx(1 / len(TARGETS))
    assert row(1e-8).share == 1
    lines = table([row(1e-8), row(1e3, returned=2.0)]).splitlines()
    assert lines[0] == "| method | D = 2: targets, solved | worse | seconds | failed |"
    assert lines[2] == "| a | 0.500, 0.50 | 1 | 2 | 0 of 2 |"


def test_the_command(tmp_path):
    from typer.testing import CliRunner

    from invopt.cli import app

    arguments = [
        "bbob",
        "1",
        "--dimensions",
        "2",
        "--instances",
        "1",
        "--methods",
        "auto,powell",
        "--evaluations",
        "20",
    ]
    done = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "rows.json")])
    assert done.exit_code == 0, done.output
    assert "| powell |" in done.output
    assert (tmp_path / "rows.json").exists()
    done = CliRunner().invoke(app, ["bbob", "x"])
    assert "'functions' must be numbers such as 1-3,7: 'x'" in str(done.exception)
