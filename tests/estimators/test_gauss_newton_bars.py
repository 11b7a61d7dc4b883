"""GaussNewton: errors at the end against their error bars, by chi-squared."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from invopt import Status, minimize, problems
from invopt.estimators import GaussNewton
from invopt.estimators.least_squares.parameter_covariance import error_bars
from invopt.optimizers import Newton

from .error_bars import ALPHA, assert_bars, decorrelated
from .lines import Line, LineObjective


def ends(problem, runs, **settings):
    """Errors divided by error bars of runs that end at the noise floor; the answer is 0."""
    found = [minimize(problem, GaussNewton(**settings), Newton(), rng=seed, maxfev=3_000) for seed in range(runs)]
    for each in found:
        assert (each.status is Status.NOISE_FLOOR) == (each.x_standard_error is not None)
    return [each.x / each.x_standard_error for each in found if each.x_standard_error is not None]


def test_error_bars_after_samples_per_pixel_were_raised():
    scores = ends(Line(), 40, max_spp_factor=4)
    assert len(scores) >= 36
    # Noise is seen in 20 blocks of residuals, from which two parameters were fitted.
    assert_bars(scores, dof=18)


class _Shared(LineObjective):
    """Noise common to each block of twelve residuals."""

    def residuals(self, x, *, seed, spp=None):
        noise = [np.random.default_rng(int(s)).standard_normal(len(self.slope) // 12).repeat(12) for s in seed]
        clean = x.numpy() @ self.slope.T
        return torch.from_numpy(clean + 0.3 * np.array(noise) / math.sqrt((spp or 4) / 4))


class Shared(Line):
    def open(self):
        return _Shared(np.random.default_rng(0).standard_normal((40, 2)).repeat(12, 0))


def test_error_bars_know_of_noise_that_neighbours_share():
    # Taken for independent, it would make the bars 3.5 times too short. 40 blocks count by the squares of normal
    # slopes: as much as (sum of squares)^2 / sum of fourth powers = 40 / 3 equal ones.
    assert_bars(ends(Shared(), 60, max_spp_factor=1), dof=13)


@pytest.mark.parametrize("m", [3, 8, 12])
def test_few_residuals_have_true_error_bars(m):
    slope = np.random.default_rng(5).standard_normal((m, 2))

    class Few(Line):
        def open(self):
            return LineObjective(slope)

    def bars(rng, shape):
        """Documented variance: the larger of that under four seeds and of the residuals over m - 2."""
        size = (*shape[:-1], 1)
        return np.maximum(rng.chisquare(3 * m, size) / (3 * m), rng.chisquare(m - 2, size) / (m - 2))

    scores = ends(Few(), 60, max_spp_factor=1)
    assert len(scores) >= 50
    assert_bars(decorrelated(scores, slope), bars=bars)


@pytest.mark.parametrize("m", [2, 3, 60])
def test_noise_that_no_seed_repeats_leaves_error_bars_long_enough(m):
    """Sigma stays wide enough for slopes to exceed the noise.

    Error bars exceed the errors, because the mean of a window has less noise than a single evaluation.
    """
    slope, scores = np.random.default_rng(5).standard_normal((m, 2)), []
    for seed in range(20):
        rng = np.random.default_rng(100 + seed)
        problem = problems.Function(
            fun=lambda x, rng=rng: slope @ x + 0.3 * rng.standard_normal(m), x0=[1.0, -0.5], residuals=True
        )
        end = minimize(problem, GaussNewton(), Newton(), rng=seed, maxfev=1000)
        if end.x_standard_error is not None:
            assert end.status is Status.NOISE_FLOOR
            scores.append(end.x / end.x_standard_error)
    # Of two residuals some starts are not surely above the noise.
    assert len(scores) >= (10 if m == 2 else 18)
    # Each residual under four seeds, or under three where there are more than twelve residuals.
    dof = 3 * m if m <= 12 else 18
    assert np.abs(scores).max() < stats.t(dof).isf(ALPHA / (2 * np.size(scores)))


def test_error_bars_of_a_gain_that_changes_with_the_seed():
    """Three seeds estimate its variance; residuals at the minimum do not show it."""
    t, rng = torch.linspace(0, 1, 100, dtype=torch.float64), np.random.default_rng(0)
    slope, nothing = torch.stack([torch.exp(-0.5 * t), -2 * t * torch.exp(-0.5 * t)]), torch.zeros(2, 2).double()

    def noise(k):
        gain, white = torch.from_numpy(rng.standard_normal((k, 1))), torch.from_numpy(rng.standard_normal((k, 100)))
        return gain * slope[0] + 0.002 * white

    scores = []
    for _ in range(300):
        under = noise(3)
        error = torch.linalg.lstsq(slope.T, noise(1).T).solution[0]
        left = 0.002 * torch.from_numpy(rng.standard_normal(100))
        _, bars = error_bars(slope, left, nothing, 4e-6, under - under.mean(0))
        scores.append(float(error[0] / bars[0]))
    assert_bars(scores, dof=2)


def test_noise_that_a_parameter_mimics_is_in_the_error_bars():
    """A gain that changes with the seed leaves no residual at the minimum."""
    t, scores = np.linspace(0, 1, 400), []

    def residuals(x, seed):
        rng = np.random.default_rng(seed)
        gain = 1 + 0.05 * rng.standard_normal()
        return gain * x[0] * np.exp(-x[1] * t) + 0.002 * rng.standard_normal(400) - 2 * np.exp(-0.5 * t)

    for seed in range(20):
        problem = problems.Function(fun=residuals, x0=[1.0, 1.5], sigma=0.5, residuals=True, seeded=True)
        found = minimize(problem, GaussNewton(), Newton(), rng=seed, maxfev=1000)
        assert found.status is Status.NOISE_FLOOR
        scores.append((found.x - [2, 0.5]) / found.x_standard_error)
    # Three seeds: half of Student's t with two degrees of freedom is within 0.82.
    inside = (np.abs(scores)[:, 0] < stats.t(2).ppf(0.75)).sum()
    low, high = stats.binom(20, 0.5).ppf([ALPHA / 2, 1 - ALPHA / 2])
    assert low <= inside <= high


def test_error_bars_at_a_bound():
    """A parameter at its bound has no noise; the others are as precise as without it."""
    # The parameter at its bound affects separate residuals, which stay far above the noise.
    slope = np.zeros((480, 2))
    slope[:60, 0] = 1.0
    slope[60:, 1] = np.random.default_rng(5).standard_normal(420)

    def residuals(x, seed):
        return slope @ (x - [1.0, 2.0]) + 0.3 * np.random.default_rng(seed).standard_normal(480)

    scores = []
    for seed in range(100):
        problem = problems.Function(
            fun=residuals, x0=[0, 0], seeded=True, residuals=True, bounds=[(None, 0.5), (None, None)]
        )
        found = minimize(problem, GaussNewton(restarts=0), Newton(), rng=seed, maxfev=300)
        assert found.status.name in ("NOISE_FLOOR", "MISMATCH")
        assert found.x_standard_error[0] == 0
        assert found.x[0] == 0.5
        scores.append((found.x[1] - 2.0) / found.x_standard_error[1])
    # 35 blocks of twelve residuals count as much as 35 / (1 + 2 / 12) equal ones.
    assert_bars(scores, dof=30)


def test_a_minimum_beside_a_bound():
    slope = np.random.default_rng(5).standard_normal((60, 2))

    def residuals(x, seed):
        return slope @ (x - [0.2, 1.0]) + 0.3 * np.random.default_rng(seed).standard_normal(60)

    scores = []
    for seed in range(60):
        problem = problems.Function(
            fun=residuals, x0=[2, 2], bounds=[(0, 4)] * 2, sigma=3.0, seeded=True, residuals=True
        )
        found = minimize(problem, GaussNewton(), Newton(), rng=seed, maxfev=500)
        scores.append((found.x - [0.2, 1.0]) / found.x_standard_error)
    # 20 blocks of three residuals count as much as 20 / (1 + 2 / 3) equal ones.
    assert_bars(scores, dof=12)
