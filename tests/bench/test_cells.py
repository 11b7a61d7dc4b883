"""Benchmark cells: recorded data, thinning, and detection of runs that cheat."""

import re
from itertools import pairwise

import attrs
import numpy as np
import pytest
import torch

from invopt import estimators, optimizers, problems
from invopt.bench import cell as cells
from invopt.bench import plan as plans
from invopt.bench.cell import Cell, refusal, run_cell, start
from invopt.bench.image_error import ImageError
from invopt.bench.plan import all_pairings, make_plan
from invopt.bench.presets import PAPER, PEERS, Preset, presets
from invopt.bench.results.measures import cost_to
from invopt.core.objective import Objective
from invopt.evaluate.evaluator import CountingEvaluator
from invopt.exceptions import InvoptError, UnknownNameError


def run(method, seed=0, task="quad", maxfev=300, **options):
    cell = Cell(task=task, method=method, seed=seed, size="tiny", maxfev=maxfev, **options)
    problem = cell.problem
    return run_cell(cell, problem, problem.open())


@pytest.fixture
def planted(monkeypatch):
    """Register presets during a test."""

    def plant(name, estimator, method):
        monkeypatch.setitem(presets(), name, Preset(lambda: estimator, lambda problem, x0: method))
        return name

    return plant


def test_an_outcome_is_the_same_bits_again_and_another_for_another_seed():
    first, again, other = run("paper-hvpa"), run("paper-hvpa"), run("paper-hvpa", seed=1)
    timed = {"seconds", "cell_seconds"}
    assert {k: v for k, v in first.record.items() if k not in timed} == {
        k: v for k, v in again.record.items() if k not in timed
    }
    for name in set(first.arrays) - timed:
        np.testing.assert_array_equal(first.arrays[name], again.arrays[name])
    assert first.record["x0_digest"] != other.record["x0_digest"]


def test_errors_and_counts_are_those_of_the_run():
    outcome = run("l-bfgs-b")
    arrays, problem = outcome.arrays, problems.Quadratic()
    assert outcome.record["failure"] is None
    assert arrays["parameter_error"][0] == problem.parameter_error(start(problem, 0))
    assert arrays["parameter_error"][-1] == problem.parameter_error(arrays["x"])
    assert arrays["nfev"][0] == 1
    assert arrays["nfev"][-1] <= outcome.record["nfev"] <= 300
    # QUAD has no pictures: its value stands for them.
    assert arrays["image_error"][0] == pytest.approx(float(problem.open().fun(_rows(arrays["x0"]), seed=[0])[0]))


def _rows(x):
    return torch.from_numpy(x[None].copy())


def test_a_search_by_values_is_judged_by_its_best_value():
    outcome = run("nelder-mead", task="box2")
    x, problem = outcome.arrays["x"], Cell(task="box2", method="x", seed=0, size="tiny", maxfev=1).problem
    held = list(outcome.arrays["parameter_error"])
    assert problem.parameter_error(x) == held[-1]
    changes = np.flatnonzero(np.diff(held)) + 1
    assert 0 < len(changes) < len(held) - 1  # most trial points are no better, and are not its answer


def test_thinning_keeps_both_ends_and_leaves_no_gap_wider_than_its_ratio():
    outcome = run("cma", task="box2")
    rows, nfev = outcome.arrays["image_row"], outcome.arrays["nfev"]
    assert rows[0] == 0
    assert rows[-1] == len(nfev) - 1
    assert len(rows) < 40 < len(nfev)
    for i, j in pairwise(rows):
        # The next measured is the last within the ratio, or the very next.
        assert j == i + 1 or nfev[j] <= cells.IMAGE_COUNT_RATIO * nfev[i]
    # So a crossing is dated too late by no more than that: here against all the errors, where both are known.
    errors = outcome.arrays["parameter_error"]
    for fraction in (0.1, 0.01):
        exact, thinned = cost_to(nfev, errors, fraction), cost_to(nfev[rows], errors[rows], fraction)
        assert thinned <= cells.IMAGE_COUNT_RATIO * exact + 1


def test_image_error_is_zero_at_the_answer_and_exact_without_noise():
    problem = problems.Box2(resolution=60)
    objective = problem.open()
    error = ImageError(problem, objective)
    assert error(problem.x_opt) == 0.0
    assert error(problem.x0) == pytest.approx(float(objective.fun(_rows(problem.x0), seed=[0])[0]), rel=1e-12)


@pytest.mark.render
def test_image_error_of_renders_is_free_of_their_noise():
    problem = problems.Shadow(size="tiny")
    with problem.open() as objective:
        error = ImageError(problem, objective)
        far, near = error(problem.x0), error(problem.x_opt + 0.01)
        quiet = [objective.image(x, seed=2**31 + 99, spp=4096).astype(float) for x in (problem.x0, problem.x_opt)]
        noisy = float(objective.fun(_rows(problem.x_opt), seed=np.array([1]))[0])
        assert error(problem.x_opt) == 0.0
    assert far == pytest.approx(float(np.mean((quiet[0] - quiet[1]) ** 2)), rel=0.1)
    # The loss itself has a noise floor above a thousandth of its start.
    assert abs(near) < 0.001 * far < 0.1 * noisy


class HalfReported(estimators.FR22):
    """Reports only half of its evaluations."""

    def estimate(self, objective: CountingEvaluator, x, state, rng):
        found = super().estimate(objective, x, state, rng)
        objective.spend(-(self.cost(objective.n) // 2))
        return found


class Direct(optimizers.Adam):
    """Evaluates the objective without counting it."""

    def step(self, x, estimate, state, oracle):
        oracle._evaluator.objective.fun(x[None], seed=np.array([1]))
        return super().step(x, estimate, state, oracle)


class Raising(optimizers.Adam):
    def step(self, x, estimate, state, oracle):
        raise RuntimeError("broken in the middle")


@pytest.mark.parametrize(
    ("estimator", "method", "message"),
    [
        (HalfReported(), optimizers.Adam(), r"CellError: reports \d+ evaluations, but made \d+"),
        (estimators.FR22(), Direct(), "CellError: reports"),
        (estimators.FR22(), Raising(), "RuntimeError: broken in the middle"),
    ],
    ids=["half reported", "behind its back", "raising"],
)
def test_a_run_that_cheats_or_breaks_is_a_failure_with_its_reason(planted, estimator, method, message):
    outcome = run(planted("planted", estimator, method))
    assert re.search(message, outcome.record["failure"])
    assert outcome.arrays == {}


def test_a_run_that_overruns_its_time_is_a_failure():
    assert "exceeded its time of 0.05 s" in run("paper-g", task="box10", maxfev=100_000, maxtime=0.05).record["failure"]


def test_an_objective_that_dies_is_a_failure():
    class Dying(Objective):
        def fun(self, x, *, seed, spp=None):
            raise OSError("the renderer has gone")

    cell = Cell(task="quad", method="paper-g", seed=0, size="tiny", maxfev=100)
    assert "the renderer has gone" in run_cell(cell, cell.problem, Dying()).record["failure"]


@pytest.mark.parametrize("method", [*PAPER, *PEERS, "auto", "shared-newton"])
def test_every_preset_runs_on_the_quadratic(method):
    if method == "py-bobyqa":
        pytest.importorskip("pybobyqa", reason="pybobyqa is not installed: pip install invopt[bench-gpl]")
    outcome = run(method, maxfev=400)
    assert outcome.record["failure"] is None
    assert outcome.arrays["parameter_error"].min() < 0.1 * outcome.arrays["parameter_error"][0]


def test_presets_scale_with_the_problem():
    problem = problems.Box2()
    simplex = presets()["nelder-mead"].make(problem, np.array([0.9, 0.1]))[1].options["initial_simplex"]
    np.testing.assert_allclose(simplex, [[0.9, 0.1], [0.65, 0.1], [0.9, 0.35]])
    assert presets()["cma"].make(problem, problem.x0)[1].sigma0 == problem.sigma


def test_refusals_say_why():
    quad, box, texture = problems.Quadratic(), problems.Box2(), problems.Texture()
    assert refusal(quad, "paper-h", 400) is None
    assert "needs JAC" in refusal(box, "mitsuba", 400)
    assert refusal(texture, "paper-g", 400) == "its first step needs 4096 evaluations, more than the budget of 400"
    assert "needs HESSP" in refusal(quad, "fr22+cg", 400)
    assert "cannot be made from its name alone" in refusal(quad, "fr22+scipy", 400)


def test_plan_lists_what_cannot_work():
    plan = make_plan(seeds=2, size="tiny")
    assert {"scene", "function"} <= set(plan.refused)
    assert "box2 mitsuba" in plan.refused
    assert {cell.task for cell in plan.cells} >= {"quad", "box2", "box10", "mug", "shadow", "bunny", "texture"}
    assert len({attrs.astuple(cell) for cell in plan.cells}) == len(plan.cells)
    assert len(all_pairings()) >= 140


def test_a_method_of_scipy_takes_part_in_pairs_by_its_name():
    plan = make_plan(["quad"], ["function-value+powell"], seeds=1)
    assert [cell.method for cell in plan.cells] == ["function-value+powell"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"tasks": ["mugg"]}, UnknownNameError, "did you mean 'mug'"),
        ({"methods": ["nelder-meat"]}, UnknownNameError, "did you mean 'nelder-mead'"),
        ({"methods": ["hvpa+cgg"]}, UnknownNameError, "unknown optimizer 'cgg'"),
        ({"tasks": ["scene"]}, InvoptError, "from its name alone"),
        ({"size": "huge"}, ValueError, "'size' must be one of tiny, default, paper: 'huge'"),
        ({"seeds": 0}, ValueError, "'seeds' must be >= 1: 0"),
        ({"seeds": [-1]}, ValueError, "'seeds'"),
        ({"maxfev": 0}, ValueError, "'maxfev' must be >= 1: 0"),
        ({"maxtime": -1.0}, ValueError, "'maxtime' must be > 0: -1.0"),
    ],
)
def test_bad_plans_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        make_plan(**({"tasks": ["quad"]} | arguments))


def test_methods_keep_the_names_that_were_given():
    plan = make_plan(["quadratic"], ["Aggregate_HVP+fletcher-reeves-cg"], seeds=1)
    assert [(cell.task, cell.method) for cell in plan.cells] == [("quad", "aggregate-hvp+fletcher-reeves-cg")]


def test_a_task_with_two_names_keeps_the_given_one(monkeypatch):
    names = {"first": problems.Quadratic, "second-name": problems.Quadratic}
    monkeypatch.setattr(plans, "find", lambda wing, name: names[name])
    monkeypatch.setattr(plans, "own_budgets", lambda: ())
    assert plans._as_task("second-name") == "second-name"
