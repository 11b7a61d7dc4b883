"""Contract checks for Problems, Estimators, Optimizers and losses, yours included.

Each check takes the object, returns None, and raises ``AssertionError`` saying what is wrong. With pytest::

    @pytest.mark.parametrize("check", invopt.testing.ESTIMATOR_CHECKS)
    def test_contract(check):
        check(MyEstimator())
"""

from collections.abc import Callable
from typing import Any

from invopt.testing.derivatives import problem_differentiates
from invopt.testing.estimators import (
    estimator_counts_every_call,
    estimator_is_repeatable,
    estimator_is_unbiased_on_a_quadratic,
    estimator_provides_what_it_says,
)
from invopt.testing.losses import loss_differentiates, loss_has_its_shapes, loss_is_zero_at_its_target
from invopt.testing.optimizers import optimizer_descends, optimizer_is_pure, optimizer_survives_any_curvature
from invopt.testing.problems import problem_describes_itself, problem_evaluates, problem_starts_inside
from invopt.testing.statistics import assert_mean

__all__ = [
    "ESTIMATOR_CHECKS",
    "LOSS_CHECKS",
    "OPTIMIZER_CHECKS",
    "PROBLEM_CHECKS",
    "assert_mean",
    "problem_differentiates",
]

PROBLEM_CHECKS: tuple[Callable[[Any], None], ...] = (
    problem_describes_itself,
    problem_starts_inside,
    problem_evaluates,
    problem_differentiates,
)
ESTIMATOR_CHECKS: tuple[Callable[[Any], None], ...] = (
    estimator_provides_what_it_says,
    estimator_counts_every_call,
    estimator_is_repeatable,
    estimator_is_unbiased_on_a_quadratic,
)
OPTIMIZER_CHECKS: tuple[Callable[[Any], None], ...] = (
    optimizer_is_pure,
    optimizer_survives_any_curvature,
    optimizer_descends,
)
LOSS_CHECKS: tuple[Callable[[Any], None], ...] = (
    loss_is_zero_at_its_target,
    loss_has_its_shapes,
    loss_differentiates,
)
