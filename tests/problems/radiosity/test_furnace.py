"""The furnace: expected gradients and fixed points of each estimator are known."""

from functools import partial

import numpy as np
import pytest

import invopt
from invopt import StepDecay, estimators, optimizers
from invopt.problems import NeuralRadiosity
from invopt.problems.radiosity.scenes import furnace
from invopt.testing import assert_mean

from .fields import ConstantField, full_fixed_point, gradients, pointwise, truth

# Every test of this file together raises one false alarm in a million.
FAMILY = 1e-6
CASES = [(rho, m) for rho in (0.5, 0.8) for m in (2, 8, 32)]
EMISSION = 1.0
pytestmark = pytest.mark.render


def room(rho, m, **options):
    scene = partial(furnace, albedo=rho, emission=EMISSION)
    options = {
        "preset": "paper",
        "n_points": 2**14,
        "sampling": "uniform",
        "loss": "l2",
        "field": ConstantField(),
    } | options
    return NeuralRadiosity(scene, n_directions=m, **options)


def drawn(problem, c, seed):
    """Both sides at a constant field, with graphs."""
    import torch

    with problem.open() as live:
        return live.sides(torch.tensor([c]), seed=seed, step=0, differentiate_right=True)


@pytest.mark.parametrize(("rho", "m"), CASES)
def test_expected_gradients(rho, m):
    c = 2.0
    full, semi, true = gradients(rho, m, EMISSION, c)
    sides = drawn(room(rho, m), c, seed=10 * m + int(10 * rho))
    expected = {
        estimators.FullGradient(): full,
        estimators.SemiGradient(): semi,
        estimators.DualBuffer(): true,
        estimators.WeightedDualBuffer(weight=1.0): true,
        estimators.WeightedDualBuffer(weight=0.25): 0.25 * true + 0.75 * semi,
        estimators.WeightedDualBuffer(weight=0.0): semi,
    }
    for estimator, value in expected.items():
        assert_mean(pointwise(sides, estimator), value, alpha=FAMILY / 100)


@pytest.mark.parametrize(("rho", "m"), CASES)
def test_fixed_points(rho, m):
    dark, right = full_fixed_point(rho, m, EMISSION), truth(rho, EMISSION)
    at_dark, at_right = drawn(room(rho, m), dark, seed=m), drawn(room(rho, m), right, seed=m + 1)
    assert_mean(pointwise(at_dark, estimators.FullGradient()), 0.0, alpha=FAMILY / 100)
    for estimator in (estimators.SemiGradient(), estimators.DualBuffer(), estimators.WeightedDualBuffer(weight=0.5)):
        assert_mean(pointwise(at_right, estimator), 0.0, alpha=FAMILY / 100)
    # The other's resting place is none of one's own.
    with pytest.raises(AssertionError, match="standard errors"):
        assert_mean(pointwise(at_right, estimators.FullGradient()), 0.0, alpha=FAMILY / 100)
    with pytest.raises(AssertionError, match="standard errors"):
        assert_mean(pointwise(at_dark, estimators.SemiGradient()), 0.0, alpha=FAMILY / 100)


@pytest.mark.parametrize("m", [2, 8])
def test_the_fixed_point_of_the_symmetric_loss_is_the_truth(m):
    """The norm uses other directions than the residual, so that its noise causes no bias."""
    rho = 0.8
    sides = drawn(room(rho, m, loss="symmetric-l2"), truth(rho, EMISSION), seed=m)
    assert_mean(pointwise(sides, estimators.SemiGradient()), 0.0, alpha=FAMILY / 100)
    with pytest.raises(AssertionError, match="standard errors"):
        assert_mean(pointwise(sides, SameDirections()), 0.0, alpha=FAMILY / 100)


class SameDirections(estimators.SemiGradient):
    """Wrong: the norm uses the directions of the residual."""

    def losses(self, sides):
        return sides.loss.values(sides.left, sides.right.mean(1).detach())


def test_figures_of_the_design():
    radiances = [EMISSION + full_fixed_point(0.8, m, EMISSION) for m in (2, 8, 32)]
    np.testing.assert_allclose(radiances, [1.364, 3.000, 4.286], atol=5e-4)


@pytest.mark.parametrize("sampling", ["uniform", "bsdf", "nee"])
def test_right_side_is_the_truth_at_the_truth(sampling):
    rho = 0.8
    sides = drawn(room(rho, 4, sampling=sampling), truth(rho, EMISSION), seed=5)
    found = sides.right.detach().mean(1).double().numpy()
    if sampling == "nee":
        # Mitsuba's shadow rays miss surfaces nearer than their epsilon: 4 in 10^5 of the radiance.
        assert found.mean() == pytest.approx(5.0, rel=2e-4)
    else:
        assert_mean(found, 5.0, alpha=FAMILY / 100)


@pytest.mark.parametrize("bounces", [2, 3])
@pytest.mark.parametrize("c", [1.0, 6.0])
def test_bounces_bring_the_right_side_nearer_to_the_truth(bounces, c):
    """An error of the field is multiplied by the albedo to the power of the bounces."""
    rho = 0.8
    sides = drawn(room(rho, 4, sampling="uniform", bounces=bounces), c, seed=bounces)
    found = sides.right.detach().mean(1).double().numpy()
    right = truth(rho, EMISSION)
    assert_mean(found, EMISSION + right + rho**bounces * (c - right), alpha=FAMILY / 100)
    expected = 2 * (1 - rho**bounces) * (c - right)
    assert_mean(pointwise(sides, estimators.SemiGradient()), expected, alpha=FAMILY / 100)
    assert_mean(pointwise(sides, estimators.DualBuffer()), (1 - rho**bounces) * expected, alpha=FAMILY / 100)


@pytest.mark.parametrize(
    ("estimator", "sides", "radiance"),
    [
        (estimators.FullGradient(), "outgoing", 1.364),
        (estimators.SemiGradient(), "outgoing", 5.0),
        (estimators.SemiGradient(), "reflected", 5.0),
    ],
)
def test_minimize_converges_to_the_fixed_points(estimator, sides, radiance):
    problem = room(0.8, 2, n_points=512, loss="relative-l2", sides=sides, field=ConstantField(value=2.0))
    method = optimizers.Adam(lr=StepDecay(0.1, every=50))
    res = invopt.minimize(problem, estimator, method, rng=0, maxiter=200)
    assert EMISSION + res.x[0] == pytest.approx(radiance, rel=0.05)
    assert res.nfev == 201
