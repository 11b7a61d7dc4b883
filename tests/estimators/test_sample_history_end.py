"""SampleHistory: runs end at the noise floor with correct error bars."""

import numpy as np
import pytest
import torch

from invopt import minimize, problems
from invopt.core.estimator import Estimate
from invopt.estimators import SampleHistory
from invopt.estimators.history.model_minimum import kernel_shift
from invopt.estimators.history.window import Reweighted
from invopt.evaluate.evaluator import CountingEvaluator
from invopt.optimizers import Newton

from .error_bars import PLANTED, assert_bars
from .lines import Line, LineObjective

ANSWER = np.array([1.0, 2.0])


def parabola(x):
    return float(((x - ANSWER) ** 2).sum())


def noisy(x, seed):
    draws = np.random.default_rng(seed).standard_normal(3)
    return parabola(x) + 0.05 * draws[0] + 0.1 * draws[1:] @ x


def test_error_bars_hold_what_seeds_change():
    scores = []
    for seed in range(80):
        problem = problems.Function(fun=noisy, x0=[0.0, 0.0], seeded=True)
        found = minimize(problem, SampleHistory(), Newton(), rng=seed, maxfev=400)
        assert found.status.name == "NOISE_FLOOR"
        assert found.history.nfev[-1] < 200
        scores.append((found.x - ANSWER) / found.x_standard_error)
    # Four minima have three degrees of freedom.
    assert_bars(scores, dof=3)


def scores_without_seeds(fun, x0, runs):
    """Errors divided by error bars, of runs with noise that no seed repeats."""
    scores = []
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        found = minimize(lambda x, rng=rng: fun(x) + 0.05 * rng.normal(), x0=x0, rng=seed, maxfev=1000)
        assert found.status.name == "NOISE_FLOOR"
        scores.append((found.x - ANSWER) / found.x_standard_error)
    return scores


def test_noise_that_no_seed_repeats():
    def bars(rng, shape):
        """Spread of four minima, at least the standard error of each."""
        return np.maximum(rng.chisquare(3, shape) / 3, 1.0)

    assert_bars(scores_without_seeds(parabola, [0.0, 0.0], 50), bars=bars)


@pytest.mark.parametrize("offset", [0.0, 1.0, 1e7])
def test_without_noise_the_tolerances_end_it(offset):
    found = minimize(lambda x: parabola(x) + offset, x0=[0.0, 0.0], rng=0)
    assert found.success
    assert found.history.nfev[-1] < 200
    np.testing.assert_allclose(found.x, ANSWER, atol=1e-6)


def skewed(x):
    return float((np.exp(x - ANSWER) - x).sum())


def test_noise_that_all_points_share_under_a_seed_hides_nothing():
    """Differences do not contain it, so sigma shrinks further."""

    def shared(x, seed):
        return skewed(x) + 0.05 * np.random.default_rng(seed).standard_normal()

    for seed in range(6):
        problem = problems.Function(fun=shared, x0=[0.0, 0.5], seeded=True)
        found = minimize(problem, SampleHistory(), Newton(), rng=seed, maxfev=400)
        assert found.status.name == "CONVERGED"
        np.testing.assert_allclose(found.x, ANSWER, atol=1e-4)


def test_error_bars_hold_what_sigma_blurs():
    # The bias by smoothing is equal in all runs, so error bars that include it are not too long.
    assert_bars(scores_without_seeds(skewed, [0.0, 0.5], 30), dof=3, planted=(1 / PLANTED,))


@pytest.mark.parametrize(
    "fun",
    [lambda x: (x[0] - 1) ** 2, lambda x: (x[0] + x[1] - 1) ** 2],
    ids=["one is unused", "the sum counts"],
)
def test_what_values_do_not_determine_has_no_error_bars(fun):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        found = minimize(lambda x, rng=rng: fun(x) + 0.02 * rng.normal(), x0=[2.0, 2.0], rng=seed)
        assert found.status.name == "UNSURE"
        assert found.x_standard_error is None
        assert "do not determine all parameters" in found.message


def test_a_bent_valley_is_no_success_far_from_its_minimum():
    """Sigma is as wide as the bend; each axis by itself would be 10 error bars off."""

    def valley(x):
        return (1 - x[0]) ** 2 + 10 * (x[1] - x[0] ** 2) ** 2

    wrong = 0
    for seed in range(8):
        rng = np.random.default_rng(1000 + seed)
        found = minimize(lambda x, rng=rng: valley(x) + 0.05 * rng.normal(), x0=[-1.0, 1.0], rng=seed)
        wrong += found.success and bool((np.abs(found.x - 1) > 5 * found.x_standard_error).any())
    assert wrong <= 1


def test_blur_is_that_of_a_third_derivative():
    """Smoothing |t|^2 + 0.1 |t|^2 (t_0 - 2 t_1) adds (0.4, -0.8) to its slope."""
    t = torch.from_numpy(np.random.default_rng(0).standard_normal((40, 2)))
    funs = t.square().sum(1) * (1 + 0.1 * (t[:, 0] - 2 * t[:, 1])) + 0.3 * t[:, 0]
    seen = Reweighted(t, torch.full((40,), 1 / 40, dtype=torch.float64), funs)
    x, jac = torch.zeros(2, dtype=torch.float64), torch.tensor([0.7, -0.8], dtype=torch.float64)
    estimate = Estimate(x=x, fun=0.0, jac=jac, nfev=0, sigma=1.0)
    for low, blur in ((-1.0, [-0.2, 0.4]), (0.0, [0.0, 0.4])):
        box = torch.tensor([low, -1.0], dtype=torch.float64), torch.ones(2, dtype=torch.float64)
        objective = CountingEvaluator(LineObjective(np.ones((4, 2))), Line.provides, torch.ones_like(x), bounds=box)
        expected = torch.tensor(blur, dtype=torch.float64)
        torch.testing.assert_close(kernel_shift(objective, estimate, seen), expected, atol=1e-4, rtol=0)


def test_a_parameter_at_its_bound_is_no_reason_to_go_on():
    problem = problems.Function(fun=noisy, x0=[0.0, 0.0], seeded=True, bounds=[(None, 0.5), (None, None)])
    found = minimize(problem, SampleHistory(), Newton(), rng=0, maxfev=400)
    assert found.status.name == "NOISE_FLOOR"
    assert found.x[0] == 0.5
    assert found.x_standard_error[0] == 0
    assert abs(found.x[1] - 2.0) < 8 * found.x_standard_error[1]


def test_noise_does_not_lead_back_up_a_narrow_valley():
    def valley(x, seed):
        slope = np.random.default_rng(seed).standard_normal(2)
        return float(100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2 + 1e-3 * slope @ x)

    for seed in range(3):
        found = minimize(problems.Function(fun=valley, x0=[-1.2, 1.0], seeded=True), rng=seed, maxfev=1500)
        assert np.abs(found.x - 1).max() < 0.02


def test_noise_alone_is_no_minimum():
    wins = 0
    for seed in range(16):
        rng = np.random.default_rng(seed)
        problem = problems.Function(fun=lambda x, rng=rng: rng.normal(), x0=[0.0])
        wins += minimize(problem, SampleHistory(), Newton(), rng=seed, maxfev=400).success
    # Without asking whether values have fallen at all, 14 of 16.
    assert wins <= 2


def test_a_minimum_beside_a_bound():
    """Samples beyond the bound are projected onto it."""

    def tilted(x, seed):
        return float((x[0] - 0.1) ** 2 + 0.05 * np.random.default_rng(seed).normal() * x[0])

    scores = []
    for seed in range(60):
        problem = problems.Function(fun=tilted, x0=[2.0], bounds=[(0, 4)], sigma=3.0, seeded=True)
        found = minimize(problem, SampleHistory(), Newton(), rng=seed, maxfev=400)
        assert found.x_standard_error[0] > 0
        scores.append((found.x - 0.1) / found.x_standard_error)
    # One parameter tells less than two.
    assert_bars(scores, dof=3, planted=(2.0, 1 / PLANTED))


def test_six_parameters_have_their_window_filled():
    def tilted(x, seed):
        return float(((x - 1) ** 2).sum() + 0.3 * np.random.default_rng(seed).standard_normal(6) @ x)

    assert [SampleHistory().cost(n) for n in (1, 4, 5, 6)] == [4, 4, 6, 8]
    scores = []
    for seed in range(18):
        found = minimize(problems.Function(fun=tilted, x0=[3.0] * 6, seeded=True), rng=seed, maxfev=2000)
        assert found.status.name == "NOISE_FLOOR"
        scores.append((found.x - 1) / found.x_standard_error)
    assert_bars(scores, dof=3)


def test_noise_that_most_values_do_not_have():
    """Two values show the noise once in three or four runs; later values do."""

    def speckled(x, seed):
        rng = np.random.default_rng(seed)
        return parabola(x) + (rng.normal() * x[0] if rng.random() < 0.15 else 0.0)

    ends = [
        minimize(problems.Function(fun=speckled, x0=[0.0, 0.0], seeded=True), rng=seed, maxfev=600).status.name
        for seed in range(20)
    ]
    assert ends.count("NOISE_FLOOR") >= 10


def test_a_flat_bottom_is_an_end():
    def stairs(x):
        return abs(round(3 * x[0]) - 6) + abs(round(3 * x[1]) + 3)

    for seed in range(10):
        found = minimize(stairs, x0=[5.0, 4.0], rng=seed, maxfev=300)
        assert found.success
        assert stairs(found.x) == 0
        assert found.nfev < 150


def test_a_bound_ends_a_run_without_noise():
    found = minimize(lambda x: float((x[0] + 1) ** 2), x0=[2.0], bounds=[(0, 4)], rng=0, maxfev=400)
    assert found.success
    assert found.x == 0


def test_a_method_that_does_not_go_to_the_mean_knows_how_far_it_is():
    scores = []
    for seed in range(30):
        problem = problems.Function(fun=noisy, x0=[0.0, 0.0], seeded=True)
        found = minimize(problem, SampleHistory(), "newton-cg", rng=seed, maxfev=600)
        scores.append((found.x - ANSWER) / found.x_standard_error)
    assert_bars(scores, dof=3)
