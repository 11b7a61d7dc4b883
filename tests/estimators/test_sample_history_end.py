"""Where SampleHistory ends: at the noise, with error bars that are true, or where nothing is left to find."""

import numpy as np
import pytest
from scipy import stats

from invopt import minimize, problems
from invopt.estimators import SampleHistory
from invopt.optimizers import Newton

ANSWER = np.array([1.0, 2.0])
# Of each test here.
FALSE_ALARM = 1e-4


def parabola(x):
    return float(((x - ANSWER) ** 2).sum())


def noisy(x, seed):
    draws = np.random.default_rng(seed).standard_normal(3)
    return parabola(x) + 0.05 * draws[0] + 0.1 * draws[1:] @ x


def test_error_bars_hold_what_seeds_change():
    scores = []
    for seed in range(100):
        problem = problems.Function(fun=noisy, x0=[0.0, 0.0], seeded=True)
        found = minimize(problem, SampleHistory(), Newton(), rng=seed, maxfev=400)
        assert found.status.name == "NOISE_FLOOR"
        assert found.nfev < 200
        scores.append((found.x - ANSWER) / found.x_standard_error)
    # Four minima have three degrees of freedom; bars of a third their length fail.
    assert stats.kstest(np.ravel(scores), stats.t(3).cdf).pvalue > FALSE_ALARM
    assert stats.kstest(3 * np.ravel(scores), stats.t(3).cdf).pvalue < FALSE_ALARM


def test_noise_that_no_seed_repeats():
    scores = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        found = minimize(lambda x, rng=rng: parabola(x) + 0.05 * rng.normal(), x0=[0.0, 0.0], rng=seed, maxfev=1000)
        assert found.status.name == "NOISE_FLOOR"
        scores.append((found.x - ANSWER) / found.x_standard_error)
    assert stats.kstest(np.ravel(scores), stats.t(3).cdf).pvalue > FALSE_ALARM


@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_without_noise_the_tolerances_end_it(offset):
    found = minimize(lambda x: parabola(x) + offset, x0=[0.0, 0.0], rng=0)
    assert found.success
    assert found.nfev < 200
    np.testing.assert_allclose(found.x, ANSWER, atol=1e-6)


def test_a_parameter_at_its_bound_is_no_reason_to_go_on():
    problem = problems.Function(fun=noisy, x0=[0.0, 0.0], seeded=True, bounds=[(None, 0.5), (None, None)])
    found = minimize(problem, SampleHistory(), Newton(), rng=0, maxfev=400)
    assert found.status.name == "NOISE_FLOOR"
    assert found.x[0] == 0.5
    assert abs(found.x[1] - 2.0) < 8 * found.x_standard_error[1]
