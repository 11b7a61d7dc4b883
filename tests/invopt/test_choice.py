"""Defaults chosen automatically, and their names in the result."""

import numpy as np
import pytest

from invopt import minimize, problems
from invopt.exceptions import UnknownNameError
from invopt.run.arguments.options import Options
from invopt.run.default_parts import choose
from invopt.run.prepare import prepare


def names(problem, estimator=None, method=None):
    choice = choose(problem, estimator, method)
    return type(choice.estimator).__name__, type(choice.method).__name__


def many(n):
    return problems.Function(fun=lambda x: float(x @ x), x0=[1.0] * n)


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (problems.Mug(), ("GaussNewton", "Newton")),
        (problems.Box2(), ("GaussNewton", "Newton")),
        (problems.Quadratic(), ("SampleHistory", "Newton")),
        (problems.Texture(), ("SparseGaussNewton", "NewtonCG")),
        (many(6), ("SampleHistory", "Newton")),
        (many(7), ("SharedSamples", "NewtonCG")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_auto(problem, expected):
    assert names(problem) == names(problem, "auto") == expected
    choice = choose(problem, None, None)
    assert choice.why.startswith(f"{expected[0]} with {expected[1]}: ")


def test_a_scene_of_texels_is_sparse():
    described = problems.Texture(size="tiny").statement
    assert names(described) == ("SparseGaussNewton", "NewtonCG")


def test_a_small_budget_means_few_samples_an_iteration():
    box = problems.Box10()
    assert choose(box, None, None).estimator.cost(10) == choose(box, None, None, 400).estimator.cost(10) == 40
    small = choose(box, None, None, 100)
    assert small.estimator.cost(10) == 10
    assert "the budget is 100" in small.why


def test_a_short_period_makes_a_narrow_kernel():
    class Angle(problems.Quadratic):
        periods = np.array([2.0, np.inf])

    assert choose(Angle(), None, None).estimator.sigma.start == 0.5
    assert choose(problems.Quadratic(), None, None).estimator.sigma.start is None
    # It is the run's scale that counts.
    assert choose(Angle(), None, None, x_scale=np.array([4.0, 4.0])).estimator.sigma.start == 0.125
    assert prepare(Angle(), Options(x_scale=[4.0, 4.0])).estimator.sigma.start == 0.125


def test_a_method_asked_for_is_kept_and_served():
    assert names(problems.Quadratic(), None, "adam") == ("SampleHistory", "Adam")
    assert names(problems.Quadratic(), None, "adaptive-bfgs") == ("FunctionValue", "AdaptiveBFGS")
    assert names(problems.Texture(), None, "newton") == ("SharedSamples", "Newton")


def test_paper():
    assert names(problems.Quadratic(), "paper") == ("AggregateHVP", "FletcherReevesCG")
    assert names(problems.Quadratic(), "paper", "adam") == ("AggregateHVP", "Adam")


def test_the_result_says_what_was_chosen_and_why():
    found = minimize(problems.Quadratic(), rng=0, maxfev=20)
    assert found.choice.startswith("SampleHistory with Newton: values only, and n = 2")
    assert minimize(problems.Quadratic(), "fr22", "adam", rng=0, maxfev=20).choice == ""


def test_an_unknown_preset_is_an_unknown_estimator():
    with pytest.raises(UnknownNameError, match="automatic"):
        minimize(problems.Quadratic(), "automatic")
