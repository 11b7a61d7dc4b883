"""The set of Moré and Wild: its problems, the measure, and the command."""

import importlib.util
import json
import math

import numpy as np
import pytest
import scipy.optimize
import torch

from invopt import estimators, optimizers
from invopt.bench.more_wild.problem import MoreWild, problem_names
from invopt.bench.more_wild.problem import entries as described
from invopt.bench.more_wild.recorded import RecordedObjective
from invopt.bench.more_wild.runs import TAUS, Row, run_one
from invopt.bench.more_wild.shares import shares, table
from invopt.bench.presets import Preset, presets
from invopt.core.objective import Capability, Objective
from invopt.exceptions import UnknownNameError

INF = math.inf


@pytest.fixture
def entries():
    if importlib.util.find_spec("optimagic") is None:
        pytest.skip("optimagic is not installed: pip install invopt[bench]")
    return described()


def rows(x):
    return torch.from_numpy(np.atleast_2d(np.array(x, dtype=np.float64)))


def test_there_are_53_with_the_starts_and_values_of_the_paper(entries):
    assert len(problem_names()) == 53
    for name, entry in entries.items():
        problem = MoreWild(name=name)
        objective = problem.open()
        first = objective.residuals(rows(problem.x0), seed=np.array([0]))[0]
        assert float(first.square().sum()) == pytest.approx(entry["start_criterion"], rel=1e-5)
        assert float(objective.fun(rows(problem.x0), seed=np.array([0]))[0]) == pytest.approx(
            entry["start_criterion"] / len(first), rel=1e-5
        )
        assert 0 <= problem.fun_opt < float(first.square().mean())
        if entry["solution_x"] is not None:
            # The known answers are printed to few digits: they reach the strictest of the accuracies.
            reached = float(objective.noise_free(rows(entry["solution_x"]))[0])
            assert reached <= problem.fun_opt + TAUS[-1] * (float(first.square().mean()) - problem.fun_opt)


def test_noise_is_of_a_point_and_a_seed(entries):
    problem = MoreWild(name="osborne_two_good_start", noise=1e-2)
    objective, x = problem.open(), problem.x0
    clean = objective.noise_free_residuals(x)

    def noise(x, seed, objective=objective):
        return objective.residuals(rows(x), seed=np.array([seed]))[0].numpy() - objective.noise_free_residuals(x)

    np.testing.assert_array_equal(noise(x, 1), noise(x, 1))
    again = MoreWild(name=problem.name, noise=1e-2, noise_seed=1).open()
    others = [noise(x, 2), noise(x + 1e-9, 1), noise(x, 1, again)]
    for other in others:
        assert abs(np.corrcoef(noise(x, 1), other)[0, 1]) < 0.6  # 65 residuals: 5 standard errors
    drawn = np.concatenate([noise(x, seed) for seed in range(40)])
    # 2600 numbers: the standard deviation of a standard deviation is 1.4 %, and 5 of them are 7 %.
    assert np.std(drawn) == pytest.approx(1e-2, rel=0.07)
    assert abs(drawn.mean()) < 5e-2 * 1e-2 * 2
    np.testing.assert_array_equal(objective.noise_free(rows(x)), [np.mean(clean**2)])


@pytest.mark.parametrize(("kind", "relative"), [("additive", False), ("multiplicative", True)])
def test_noise_of_the_value(entries, kind, relative):
    problem = MoreWild(name="bard_good_start", residuals=False, noise=1e-2, noise_kind=kind)
    objective, x = problem.open(), problem.x0
    m, clean = objective.noise_free_residuals(x).size, float(objective.noise_free(rows(x))[0])
    values = [float(objective.fun(rows(x), seed=np.array([seed]))[0]) for seed in range(400)]
    assert values[0] == float(objective.fun(rows(x), seed=np.array([0]))[0])
    drawn = (np.array(values) - clean) / (clean if relative else 1 / m)
    # 400 numbers: the standard deviation of a standard deviation is 3.5 %, and 5 of them are 18 %.
    assert np.std(drawn) == pytest.approx(1e-2, rel=0.18)
    assert abs(drawn.mean()) < 5 * 1e-2 / 20


def test_single_precision_and_what_residuals_cannot_have(entries):
    problem = MoreWild(name="bard_good_start", residuals=False, single=True)
    value = float(problem.open().fun(rows(problem.x0), seed=np.array([0]))[0])
    assert value == float(np.float32(value))
    with pytest.raises(ValueError, match="'residuals' must be False for noise of the value"):
        MoreWild(name="bard_good_start", single=True)


def test_values_hide_the_residuals(entries):
    assert MoreWild(name="meyer", residuals=False).provides is Capability.FUN
    assert MoreWild(name="meyer").provides == Capability.FUN | Capability.RESIDUALS


def test_far_away_everything_is_finite(entries):
    for name in entries:
        problem = MoreWild(name=name)
        value = problem.open().fun(rows(1e8 * (problem.x0 + 1)), seed=np.array([0]))
        assert bool(torch.isfinite(value).all())


def test_an_unknown_name_lists_the_nearest(entries):
    with pytest.raises(UnknownNameError, match="did you mean 'rosenbrock_good_start'"):
        MoreWild(name="rosenbrock_good_strat")


# The measure.


class Clean(Objective):
    """Stands for an objective: values without noise, and with a constant in place of noise."""

    chunk_size = 1

    def noise_free(self, x):
        return x[:, 0].numpy()

    def fun(self, x, *, seed, spp=None):
        return x[:, 0] + 100

    def residuals(self, x, *, seed, spp=None):
        return x + 100


def test_costs_are_of_noise_free_values_in_the_order_of_evaluation():
    objective = RecordedObjective(Clean())
    assert objective.cost_to(1.0) == INF
    assert objective.fun(rows([[9.0], [5.0]]), seed=np.array([0, 0])).tolist() == [109.0, 105.0]
    objective.residuals(rows([[1.0], [7.0], [0.5]]), seed=np.array([0, 0, 0]))
    assert objective.values == [9.0, 5.0, 1.0, 7.0, 0.5]
    assert objective.count == 5
    # The first that is low enough counts; later ones need not be.
    assert [objective.cost_to(target) for target in (10.0, 5.0, 4.9, 1.0, 0.9, 0.4)] == [1, 2, 3, 3, 5, INF]


def test_costs_are_those_of_the_method_alone(entries):
    problem = MoreWild(name="rosenbrock_good_start", residuals=False)
    found = run_one(problem, "nelder-mead", 0, 100, 60.0)
    values, scale = [], problem.x_scale

    def fun(y):
        values.append(float(np.mean(entries[problem.name]["fun"](y * scale) ** 2)))
        return values[-1]

    simplex = np.vstack([problem.x0 / scale, problem.x0 / scale + np.eye(2)])
    options = {"initial_simplex": simplex, "maxfev": 300}
    scipy.optimize.minimize(fun, simplex[0], method="nelder-mead", options=options)
    expected = [next(i + 1 for i, v in enumerate(values) if v <= tau * values[0]) for tau in TAUS]
    # scipy evaluates the start again, as the first corner of the simplex, without a second evaluation here.
    assert found.failure is None
    assert list(found.costs) == expected
    assert found.costs == tuple(sorted(found.costs))


class HalfReported(estimators.FR22):
    """Reports only half of its evaluations."""

    def estimate(self, objective, x, state, rng):
        found = super().estimate(objective, x, state, rng)
        objective.spend(-(self.cost(objective.n) // 2))
        return found


def test_what_a_run_reports_plays_no_part(entries, monkeypatch):
    monkeypatch.setitem(presets(), "planted", Preset(HalfReported, lambda problem, x0: optimizers.Adam()))
    found = run_one(MoreWild(name="rosenbrock_good_start", residuals=False), "planted", 0, 5, 60.0)
    assert "evaluations, but made" in found.failure
    assert found.nfev > 5 * 3


def test_a_run_that_overruns_its_time_is_named_and_counts_so_far(entries):
    found = run_one(MoreWild(name="osborne_two_bad_start", residuals=False), "nelder-mead", 0, 1e4, 0.05)
    assert "exceeded its time of 0.05 s" in found.failure
    assert found.nfev > 0


def row(method, n, costs, failure=None, left=0.0):
    return Row(
        problem="p", method=method, residuals=True, noise=0.0, seed=0, n=n, nfev=9, costs=costs, seconds=1.0,
        failure=failure, left=left,
    )  # fmt: skip


def test_shares_are_data_profiles_of_each_accuracy():
    # Costs over n + 1: 2, 10, 20; and 10, 25, never.
    runs = [row("a", 1, (4.0, 20.0, 40.0)), row("a", 3, (40.0, 100.0, INF))]
    np.testing.assert_array_equal(shares(runs, [9.0, 25.0]), [[0.5, 1.0], [0.0, 1.0], [0.0, 0.5]])
    failed = [row("b", 1, (INF, INF, INF), "RuntimeError: x", left=INF), row("b", 1, (INF, INF, INF), left=1.5)]
    lines = table([*runs, *failed], [9, 25]).splitlines()
    within = "within 9 / 25 (n+1)"
    returned = "returned 0.1 / 0.001 / 1e-05 | worse"
    assert lines[0] == f"| method | 0.1 {within} | 0.001 {within} | 1e-05 {within} | {returned} | seconds | failed |"
    assert lines[2:] == [
        "| a | 0.50 / 1.00 | 0.00 / 1.00 | 0.00 / 0.50 | 1.00 / 1.00 / 1.00 | 0 | 2 | 0 of 2 |",
        "| b | 0.00 / 0.00 | 0.00 / 0.00 | 0.00 / 0.00 | 0.00 / 0.00 / 0.00 | 1 | 2 | 1 of 2 |",
    ]


# The command.


def test_the_command_prints_both_tables_and_keeps_the_runs(entries, tmp_path):
    from typer.testing import CliRunner

    from invopt.cli import app

    methods = "least-squares,function-value+powell"
    arguments = ["more-wild", "rosenbrock_good_start", "bard_good_start", "--methods", methods, "--evaluations", "5,20"]
    done = CliRunner().invoke(app, [*arguments, "--noise", "0.01", "--out", str(tmp_path / "rows.json")])
    assert done.exit_code == 0, done.output
    assert "2 problems, residuals, noise 0.01, 1 seeds from 0" in done.output
    assert "cannot work: least-squares: ResidualValue needs RESIDUALS" in done.output
    kept = json.loads((tmp_path / "rows.json").read_text())
    assert len(kept) == 6
    assert {row["method"] for row in kept} == {"least-squares", "function-value+powell"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--form", "both-ways"], "'form' must be residuals, values or both: 'both-ways'"),
        (["--methods", "nelder-meat"], "did you mean 'nelder-mead'"),
        (["--evaluations", "25,x"], "'evaluations' must be a real number"),
        (["--evaluations", "0"], "'evaluations' must be > 0"),
        (["--noise-kind", "loud"], "'noise_kind' must be residuals, additive, multiplicative: 'loud'"),
        (["--single"], "'form' must be values for this noise: 'both'"),
        (["--seeds", "0"], "'seeds' must be >= 1: 0"),
        (["rosenbrok"], "did you mean 'rosenbrock_"),
    ],
)
def test_bad_arguments_are_refused(entries, arguments, message):
    from typer.testing import CliRunner

    from invopt.cli import app

    done = CliRunner().invoke(app, ["more-wild", *arguments])
    assert message in str(done.exception)
