"""Rate at which the overall brightness is learned, in the furnace."""

from functools import partial

import numpy as np
import pytest

import invopt
from invopt import estimators, optimizers
from invopt.problems import NeuralRadiosity
from invopt.problems.radiosity.scenes import furnace

from .fields import ConstantField, truth

STEPS, RATE = 30, 0.1
pytestmark = pytest.mark.render


def contraction(estimator, rho, bounces=1):
    """Factor by which a step reduces the error of the constant, as a geometric mean."""
    problem = NeuralRadiosity(
        partial(furnace, albedo=rho),
        preset="paper",
        field=ConstantField(value=3 * truth(rho, 1.0)),
        n_points=2**12,
        n_directions=8,
        sampling="uniform",
        loss="l2",
        bounces=bounces,
    )
    res = invopt.minimize(problem, estimator, optimizers.GradientDescent(lr=RATE), rng=0, maxiter=STEPS)
    return ((res.x_last[0] - truth(rho, 1.0)) / (2 * truth(rho, 1.0))) ** (1 / STEPS)


@pytest.mark.parametrize("rho", [0.5, 0.8])
def test_semi_gradient_contracts_by_what_is_absorbed_and_the_unbiased_full_gradient_by_its_square(rho):
    semi, full = (contraction(estimator, rho) for estimator in (estimators.SemiGradient(), estimators.DualBuffer()))
    absorbed = 1 - rho
    np.testing.assert_allclose(1 - semi, 2 * RATE * absorbed, rtol=0.05)
    np.testing.assert_allclose(1 - full, 2 * RATE * absorbed**2, rtol=0.05)


@pytest.mark.parametrize("bounces", [2, 4])
def test_with_bounces_what_is_absorbed_is_that_of_all_of_them(bounces):
    rho = 0.8
    semi, full = (
        contraction(estimator, rho, bounces) for estimator in (estimators.SemiGradient(), estimators.DualBuffer())
    )
    absorbed = 1 - rho**bounces
    np.testing.assert_allclose(1 - semi, 2 * RATE * absorbed, rtol=0.05)
    np.testing.assert_allclose(1 - full, 2 * RATE * absorbed**2, rtol=0.05)
