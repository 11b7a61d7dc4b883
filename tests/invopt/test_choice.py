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
        (problems.Mug(), ("Kriging", "LeastSurprise")),
        (problems.Box2(), ("Kriging", "LeastSurprise")),
        (problems.Quadratic(), ("FunctionValue", "Portfolio")),
        (problems.Texture(), ("SparseGaussNewton", "NewtonCG")),
        (many(1), ("FunctionValue", "Portfolio")),
        (many(500), ("FunctionValue", "Portfolio")),
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


def test_a_budget_that_a_simplex_would_use_up_goes_to_values():
    box = problems.Box10()
    assert type(choose(box, None, None, 22).estimator).__name__ == "Kriging"
    assert type(choose(box, None, None, 21).estimator).__name__ == "FunctionValue"


def test_residuals_with_more_parameters_than_kriging_serves():
    def choice(n):
        return names(problems.Function(fun=lambda x: x, x0=np.zeros(n), residuals=True))

    assert choice(200) == ("Kriging", "LeastSurprise")
    assert choice(201) == ("FunctionValue", "Portfolio")


def test_a_short_period_makes_a_short_step():
    class Angle(problems.Quadratic):
        periods = np.array([2.0, np.inf])

    assert choose(Angle(), None, None).method.step_length == 0.5
    assert choose(problems.Quadratic(), None, None).method.step_length == 1.0
    # It is the run's scale that counts.
    assert choose(Angle(), None, None, x_scale=np.array([4.0, 4.0])).method.step_length == 0.125
    assert prepare(Angle(), Options(x_scale=[4.0, 4.0])).method.step_length == 0.125


def test_a_method_asked_for_is_kept_and_served():
    assert names(problems.Quadratic(), None, "adam") == ("SharedSamples", "Adam")
    assert names(problems.Quadratic(), None, "adaptive-bfgs") == ("FunctionValue", "AdaptiveBFGS")
    assert names(problems.Texture(), None, "newton") == ("SharedSamples", "Newton")


def test_paper():
    assert names(problems.Quadratic(), "paper") == ("AggregateHVP", "FletcherReevesCG")
    assert names(problems.Quadratic(), "paper", "adam") == ("AggregateHVP", "Adam")


def test_the_result_says_what_was_chosen_and_why():
    found = minimize(problems.Quadratic(), rng=0, maxfev=60)
    assert found.choice == "FunctionValue with Portfolio: values only; smooth"
    assert minimize(problems.Quadratic(), "fr22", "adam", rng=0, maxfev=20).choice == ""


def test_an_unknown_preset_is_an_unknown_estimator():
    with pytest.raises(UnknownNameError, match="automatic"):
        minimize(problems.Quadratic(), "automatic")
