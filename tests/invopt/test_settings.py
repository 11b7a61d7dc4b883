"""Settings of the command line: fields of a problem, of an estimator and of a method."""

import pytest

import invopt
from invopt import BudgetDecay, Exponential, StepDecay, estimators, optimizers
from invopt.problems.radiosity import HashGrid, Tweedie
from invopt.runfiles.command import of_command
from invopt.runfiles.settings import as_settings, make_parts


def parts(*texts, problem="radiosity", estimator=None, method=None, sigma=None):
    settings = as_settings(texts)
    return make_parts(of_command(problem, texts, {}).problem, estimator, method, sigma, settings)


def test_fields_of_a_problem():
    made = of_command(
        "radiosity",
        ["scene=gap-room", "n_points=64", "field.width=32", "field.encoding.levels=4", 'loss={"tweedie": {"p": 1}}'],
        {},
    ).problem
    assert (made.scene, made.n_points, made.field.width) == ("gap-room", 64, 32)
    assert made.field.encoding == HashGrid(levels=4, base=4, growth=1.6, log2_size=15)
    assert made.loss == Tweedie(p=1)
    assert of_command("radiosity", [], {}).problem.n_points == 1024


def test_rates_and_estimators():
    assert parts() == (None, None)
    assert parts("method.lr=0.002") == (None, optimizers.Adam(lr=BudgetDecay(0.002)))
    assert parts("method.lr.ratio=0.5")[1] == optimizers.Adam(lr=BudgetDecay(5e-3, ratio=0.5))
    assert parts('method.lr={"step-decay": {"every": 300}}')[1] == optimizers.Adam(lr=StepDecay(5e-3, every=300))
    assert parts("method.betas=[0.9, 0.99]", "method.lr=1", method="adam") == (
        None,
        optimizers.Adam(lr=1, betas=(0.9, 0.99)),
    )
    found = parts("estimator.weight=0.25", estimator="weighted-dual-buffer")
    assert found == (estimators.WeightedDualBuffer(weight=0.25), None)
    found = parts("estimator.n_samples=3", problem="mug", estimator="fr22", sigma=0.5)
    assert found[0].n_samples == 3
    assert found[0].sigma == Exponential(0.5, factor=0.97)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["n_point=3"], "field of NeuralRadiosity, .*'n_point'; did you mean 'n_points'"),
        (["n_points"], "'--set' must be NAME=VALUE"),
        ([".a=3"], "'--set' must be NAME=VALUE"),
        (["field=tiny", "field.width=3"], "either field=VALUE or field.FIELD=VALUE"),
        (["method=adam"], "'--set' must be method.FIELD=VALUE; for its name there is --method"),
        (["method.rate=1"], "Adam has no field 'rate'"),
        (["method.lr=-1"], "'lr' must be > 0|'start' must be > 0"),
        (['method.lr={"step-decay": 3}'], "'method.lr' must be a name of a schedule with a mapping"),
        (["estimator.weight=3"], "SemiGradient has no field 'weight'"),
    ],
)
def test_bad_settings(texts, message):
    with pytest.raises((ValueError, TypeError), match=message):
        parts(*texts)


def test_a_rate_of_the_command_line_is_used():
    problem = invopt.problems.Quadratic()
    _, method = make_parts(problem, "finite-difference", "adam", None, as_settings(["method.lr=0.25"]))
    assert method.lr == 0.25
