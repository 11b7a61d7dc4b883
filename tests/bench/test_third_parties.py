"""Problems, methods and presets of another package in the benchmark matrix."""

import json
import os

import numpy as np
import pytest

from invopt.bench.results.table import column

from ..installed_packages import install
from .small_matrix import COMMAND

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
def test_parts_of_a_third_party_join_and_a_process_that_dies_is_one_failure(tmp_path, program):
    install(tmp_path, "toy_package", THIRD_PARTY, ENTRIES)
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    methods = "toy-crash,toy-preset,fd+leap,nelder-mead"
    arguments = ["bench", "toy", "--methods", methods, "--seeds", "1", "--size", "tiny", "--out", "out"]
    done = program(COMMAND, *arguments, cwd=tmp_path, env=environment, check=True)
    assert "failed: toy toy-crash 0: its process died (killed by signal 9); see logs/worker-0.log" in done.stdout
    code = "import json; from invopt.bench.results.table import load; print(json.dumps(load('out').rows))"
    shown = program(code, cwd=tmp_path, env=environment, check=True)
    name = column("renders", "parameter", 0.001)
    found = {row["method"]: row[name] for row in json.loads(shown.stdout)}
    assert found["toy-preset"] == found["fd+leap"] == 8
    assert found["toy-crash"] == np.inf > found["nelder-mead"]


UNKNOWN = """
    import attrs, numpy as np
    from invopt import Objective, Problem

    class Bowl(Objective):
        def fun(self, x, *, seed, spp=None):
            return (x - 1).square().sum(1)

    @attrs.frozen(kw_only=True, eq=False)
    class Hidden(Problem):
        x0 = property(lambda self: np.zeros(2))
        def open(self):
            return Bowl()
"""


@pytest.mark.timeout(120)
def test_a_task_without_a_known_answer_shows_values_and_no_errors(tmp_path, program):
    install(tmp_path, "toy_package", UNKNOWN, "[invopt.problems]\nhidden = toy_package:Hidden\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "COLUMNS": "200"}
    arguments = ["--methods", "nelder-mead", "--seeds", "2", "--size", "tiny", "--out", "out"]
    program(COMMAND, "bench", "hidden", *arguments, cwd=tmp_path, env=environment, check=True)
    printed = program(COMMAND, "table", "out", cwd=tmp_path, env=environment, check=True).stdout
    text = (tmp_path / "out/RESULTS.md").read_text()
    tables = text[: text.index("## Evaluations of one estimate")]
    for shown in (printed, tables):
        assert "he answer is unknown, so that there is no parameter error" in shown
        assert "evaluations" in shown
        assert not [word for word in ("∞", "0/2", "OurHVPA") if word in shown], shown
    assert "renders" not in printed
    assert {path.stem for path in tmp_path.glob("out/plots/*")} == {"variance"}
