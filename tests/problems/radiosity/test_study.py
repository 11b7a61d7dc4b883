"""The study of estimators: what it prints is what it stores."""

import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from invopt.problems.radiosity import study

pytestmark = pytest.mark.render


def test_study(tmp_path, monkeypatch):
    monkeypatch.setenv("INVOPT_CACHE_DIR", str(tmp_path / "cache"))
    app = typer.Typer()
    app.command()(study.main)
    options = {
        "scene": "furnace",
        "field": "tiny",
        "n-points": 32,
        "n-directions": 2,
        "estimators": "semi-gradient,weighted-dual-buffer:0.25",
        "blocks": 1,
        "block": 2,
        "maxiter": 4,
        "every": 2,
        "reference-spp": 2,
        "out": tmp_path / "out",
    }
    done = CliRunner().invoke(app, [str(part) for key, value in options.items() for part in (f"--{key}", value)])
    assert done.exit_code == 0, done.output
    lines = (tmp_path / "out" / "study.jsonl").read_text().splitlines()
    assert lines == done.output.splitlines()
    records = [json.loads(line) for line in lines]
    assert [r["what"] for r in records] == ["setting", "time", "time", "reference", *["error"] * 6]
    assert [r["nit"] for r in records if r["what"] == "error"] == [0, 2, 4] * 2
    with np.load(tmp_path / "out" / "weighted-dual-buffer-0.25.npz") as pictures:
        assert {name: pictures[name].shape for name in pictures} == dict.fromkeys(
            ("lhs", "rhs", "reference"), (16, 16, 3)
        )
