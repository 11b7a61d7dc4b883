"""The matrix: every registered task with every registered estimator and method, and with every preset.

Run with ``pytest tests/benchmarks -k matrix --size tiny``; options ``--size`` and ``--seeds``. A run must end well and
count honestly, which is checked from outside; how far it got is in the benchmark's ``extra_info``. A pairing that
cannot work is reported as skipped, with its reason. For tables see ``invopt bench``.
"""

import pytest

from invopt.bench.cell import run_cell
from invopt.bench.plan import all_pairings, make_plan
from invopt.bench.presets import presets
from invopt.bench.results.measures import FRACTIONS, cost_to, median
from invopt.bench.settings import distinct
from invopt.evaluate.workers.open import open_objective
from invopt.rendering.backend import set_threads

TASKS = sorted(distinct("problems"))
METHODS = [*presets(), *all_pairings()]
# Renders of one run, so that all of the tiny matrix takes minutes.
MAXFEV = {"tiny": 60}


@pytest.fixture(scope="module")
def plan(pytestconfig):
    size, seeds = pytestconfig.getoption("--size"), pytestconfig.getoption("--seeds")
    return make_plan([], METHODS, seeds=seeds, size=size, maxfev=MAXFEV.get(size))


@pytest.fixture(scope="module")
def opened():
    """The live objective of a task: one at a time, as tests come task by task."""
    set_threads(1, 1)
    held = {}

    def get(cell):
        if cell.task not in held:
            for _, _, context in held.values():
                context.__exit__(None, None, None)
            held.clear()
            problem = cell.problem
            context = open_objective(problem)
            held[cell.task] = problem, context.__enter__(), context
        return held[cell.task][:2]

    yield get
    for _, _, context in held.values():
        context.__exit__(None, None, None)


@pytest.mark.render
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("task", TASKS)
def test_matrix(task, method, plan, opened, benchmark):
    cells = [cell for cell in plan.cells if (cell.task, cell.method) == (task, method)]
    if not cells:
        pytest.skip(plan.refused.get(f"{task} {method}") or plan.refused[task])
    problem, objective = opened(cells[0])
    outcomes = benchmark.pedantic(lambda: [run_cell(cell, problem, objective) for cell in cells], rounds=1)
    assert [o.record["failure"] for o in outcomes if o.record["failure"] is not None] == []
    for fraction in FRACTIONS:
        renders = [cost_to(o.arrays["nfev"], o.arrays["parameter_error"], fraction) for o in outcomes]
        benchmark.extra_info[f"renders to {fraction:g}"] = median(renders)
