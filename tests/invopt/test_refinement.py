"""What follows a descent on a model: restarts, replicates, error bars, and an honest status."""

import math

import numpy as np
import pytest
from scipy.stats import chi2

from invopt import Status, minimize, problems

# False-alarm rate of the test of error bars.
ALPHA = 1e-3
RUNS = 24


def noisy(slope, answer, deviation):
    """Curved residuals with noise that depends on the seed, and on the point."""

    def fun(x, seed):
        rng = np.random.default_rng([int(seed), *np.float64(x).view(np.uint64).tolist()])
        shared = np.random.default_rng(int(seed))
        clean = slope @ (x - answer) + 0.2 * (slope @ (x - answer)) ** 2
        return clean + deviation * (0.5 * rng.standard_normal(len(slope)) + shared.standard_normal(len(slope)))

    return fun


def runs(deviation):
    """Errors over error bars of runs with answers of their own."""
    ratios, statuses = [], []
    for seed in range(RUNS):
        rng = np.random.default_rng(seed)
        slope, answer = rng.normal(size=(40, 2)), rng.uniform(-1, 1, 2)
        problem = problems.Function(
            fun=noisy(slope, answer, deviation), x0=answer + rng.normal(size=2), residuals=True, seeded=True
        )
        result = minimize(problem, "kriging", "least-surprise", rng=seed, maxfev=150)
        statuses.append(result.status)
        if result.x_standard_error is not None:
            ratios.extend((result.x - answer) / result.x_standard_error)
    return np.array(ratios), statuses


@pytest.fixture(scope="module")
def noisy_runs():
    return runs(0.1)


def test_error_bars_hold(noisy_runs):
    """The sum of squared ratios: Student's t with 7 degrees of freedom has variance 7 / 5, and kurtosis 5."""
    ratios, statuses = noisy_runs
    assert statuses.count(Status.NOISE_FLOOR) >= RUNS - 2
    count, variance = len(ratios), 7 / 5
    # Scaled to a chi-squared variable with the same mean and variance.
    kurtosis = 3 + 6 / 3
    freedom = 2 * count / (kurtosis - 1)
    total = np.sum(ratios**2) / (count * variance) * freedom
    low, high = chi2.ppf([ALPHA / 2, 1 - ALPHA / 2], freedom)
    assert low < total < high
    # Error bars half as large would be seen.
    assert not low < 4 * total < high


def test_without_noise_there_are_no_error_bars():
    a = np.random.default_rng(0).normal(size=(20, 2))
    problem = problems.Function(fun=lambda x: a @ x, x0=[1.0, 1.0], residuals=True)
    result = minimize(problem, "kriging", "least-surprise", rng=0, maxfev=100)
    assert result.success
    assert result.status is not Status.NOISE_FLOOR
    assert result.x_standard_error is None


def blob(x, width=64):
    """Picture of a soft disk."""
    y, z = np.mgrid[0:width, 0:width] / width
    return 1 / (1 + np.exp((np.hypot(y - x[0], z - x[1]) - 0.12) / 0.01))


def picture(target, x0):
    return problems.Function(
        fun=lambda x: (blob(x) - target).ravel(),
        x0=x0,
        residuals=True,
        image_shape=target.shape,
        bounds=[(0.1, 0.9)] * 2,
        sigma=2.0,
    )


def test_a_picture_is_matched_from_afar():
    """The disks do not overlap at the start; a descent by derivatives would stay there."""
    target = blob([0.7, 0.65])
    problem = picture(target, [0.25, 0.3])
    result = minimize(problem, "kriging", "least-surprise", rng=1000, maxfev=60)
    np.testing.assert_allclose(result.x, [0.7, 0.65], atol=5e-3)
    assert result.success
    assert result.nfev <= 45


def test_a_target_that_cannot_be_matched_is_no_success():
    """Half of the target is another picture: the disk is found, and the status says that much remains."""
    rng = np.random.default_rng(1000)
    other = np.repeat(np.repeat(rng.normal(size=(4, 4)), 16, 0), 16, 1)
    target = blob([0.7, 0.65]) + 0.3 * other
    problem = picture(target, [0.4, 0.45])
    result = minimize(problem, "kriging", "least-surprise", rng=1000, maxfev=120)
    assert result.status is Status.MISMATCH
    assert not result.success
    assert math.hypot(*(result.x - [0.7, 0.65])) < 0.03


def test_the_history_shows_the_best_point():
    target = blob([0.7, 0.65])
    problem = picture(target, [0.4, 0.45])
    result = minimize(problem, "kriging", "least-surprise", rng=1001, maxfev=60)
    fun = result.history.fun
    assert fun[-1] <= fun[0]
    errors = [math.hypot(*(x - [0.7, 0.65])) for x in result.history.x]
    assert errors[-1] == min(errors)


def hidden(x, seed):
    """Noisy picture of a disk that moves for x > 0 only, as behind something; the target is at x = 0."""
    rng = np.random.default_rng([int(seed), 7])
    clean = blob([0.5, 0.5 + 0.1 * max(float(x[0]), 0.0)], 32) - blob([0.5, 0.5], 32)
    return (clean + 0.05 * rng.standard_normal(clean.shape)).ravel()


@pytest.mark.parametrize("start", [-2.5, -0.2, 1.5])
def test_the_answer_on_a_plateau_is_its_middle(start):
    """The target is at the edge of the plateau from -4 to 0, so that a slope on one side only is no minimum either."""
    settings = {"residuals": True, "seeded": True, "image_shape": (32, 32), "bounds": [(-4.0, 4.0)], "sigma": 1.0}
    problem = problems.Function(fun=hidden, x0=[start], **settings)
    for seed in range(3):
        result = minimize(problem, "kriging", "least-surprise", rng=seed, maxfev=200)
        assert result.status is Status.UNSURE
        assert not result.success
        # Edges are found to an eighth of the last doubled step.
        np.testing.assert_allclose(result.x, -1.95, atol=0.2)
        np.testing.assert_allclose(result.x_standard_error, 4 / math.sqrt(12), rtol=0.15)
        assert "x[0] from -4 to " in result.message


def test_a_period_is_searched_for_another_basin():
    """A disk on a circle with a brighter one at its answer and a dim one half a turn away."""
    angle = 2 * math.pi / 18

    def scene(x):
        at = [0.5 + 0.3 * math.sin(angle * x), 0.5 + 0.3 * math.cos(angle * x)]
        return blob(at, 32)

    target = scene(0.0) + 0.6 * scene(9.0)
    problem = problems.Function(
        fun=lambda x, seed: (
            scene(float(x[0])) - target + 0.01 * np.random.default_rng(int(seed)).standard_normal((32, 32))
        ).ravel(),
        x0=[9.5],
        residuals=True,
        seeded=True,
        image_shape=(32, 32),
        sigma=1.0,
        periods=[18.0],
    )
    found = [float(minimize(problem, rng=seed, maxfev=200).x[0]) for seed in range(4)]
    errors = np.abs((np.array(found) + 9) % 18 - 9)
    assert (errors < 0.2).all()
