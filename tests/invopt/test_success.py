"""Success is reported if the evaluated values support it, and not otherwise."""

import numpy as np
import pytest

import invopt
from invopt import Status, estimators, problems


def sphere(x):
    return float(((x - 0.7) ** 2).sum())


def floor(x):
    return float((np.floor(2 * x) ** 2).sum())


def terraces(x):
    return float(np.floor(3 * np.linalg.norm(x - 0.7)))


def hat(x):
    return min(sphere(x), 2.0)


def half_stepped(x):
    return float(np.floor(3 * x[0]) ** 2 + x[1] ** 2)


STEPPED = {"floor": floor, "terraces": terraces, "hat": hat, "half stepped": half_stepped}


@pytest.mark.parametrize("method", ["bfgs", "lbfgs", "newton", "gradient-descent", "l-bfgs-b"])
@pytest.mark.parametrize("name", STEPPED)
def test_on_a_step_there_is_no_success_for_lack_of_anything_to_see(name, method):
    for seed in range(5):
        x0 = np.random.default_rng(seed).uniform(2, 4, 2)
        result = invopt.minimize(STEPPED[name], "finite-difference", method, x0=x0, rng=seed, maxfev=120)
        assert result.status in {Status.PLATEAU, Status.UNSURE, Status.LINE_SEARCH, Status.MAXFEV}
        assert STEPPED[name](result.x) <= STEPPED[name](x0)


def test_a_plateau_that_a_run_has_moved_to_is_one():
    """A slope leads onto it, and from there nothing leads on."""
    result = invopt.minimize(
        lambda x: float(max(x.sum(), 3.0)), "finite-difference", "bfgs", x0=[50.0, 40.0], rng=0, maxfev=200
    )
    assert result.fun == 3.0
    assert result.status is Status.PLATEAU


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
def test_a_minimum_whose_gradient_is_exactly_zero_is_a_success(offset):
    result = invopt.minimize(
        lambda x: float(x @ x) + offset, "finite-difference", "bfgs", x0=[0.0, 0.0], rng=0, maxfev=200
    )
    assert result.status is Status.CONVERGED


def test_a_parameter_that_changes_nothing_is_no_step():
    result = invopt.minimize(
        lambda x: float((x[0] - 1) ** 2), "finite-difference", "bfgs", x0=[3.0, 1.0], rng=0, maxfev=200
    )
    assert result.status is Status.CONVERGED


@pytest.mark.parametrize("method", ["bfgs", "lbfgs", "l-bfgs-b"])
def test_a_rule_for_exact_values_is_unsure_of_noisy_ones(method):
    rng = np.random.default_rng(0)
    result = invopt.minimize(
        lambda x: float((x[0] - 1) ** 2 + 0.1 * rng.standard_normal()),
        "finite-difference",
        method,
        x0=[3.0],
        rng=0,
        maxfev=300,
        gtol=10.0,
    )
    assert not result.success


T = np.linspace(0, 1, 200)


def fitted(gap, n=2):
    """Residuals of a line through a wave of height `gap`, with noise of 0.02."""

    def residuals(x, seed):
        return x[0] + x[1] * T - 1 - gap * np.sin(9 * T) + 0.02 * np.random.default_rng(seed).standard_normal(T.size)

    return problems.Function(fun=residuals, x0=[0.0, 0.5], residuals=True, seeded=True)


def test_residuals_far_above_the_noise_are_a_mismatch_and_those_at_it_are_not():
    far = invopt.minimize(fitted(0.5), rng=0, maxfev=600)
    assert far.status is Status.MISMATCH
    assert not far.success
    assert "far above the noise" in far.message
    at = invopt.minimize(fitted(0.0), rng=0, maxfev=600)
    assert at.status is Status.NOISE_FLOOR
    assert at.fun == pytest.approx(0.02**2, rel=0.2)


@pytest.mark.parametrize("noise", [1e-12, 1e-9, 1e-6])
def test_few_samples_of_a_plateau_with_little_noise_are_no_minimum(noise):
    """Two samples give a gradient below the tolerance, and their values have fallen by chance."""
    for seed in range(6):
        rng = np.random.default_rng(1000 + seed)
        result = invopt.minimize(
            lambda x, rng=rng: 1.0 + noise * rng.standard_normal(),
            estimators.SharedSamples(n_samples=2),
            "newton-cg",
            x0=[0.3, 0.4],
            rng=seed,
            maxfev=200,
        )
        assert result.status in {Status.UNSURE, Status.PLATEAU, Status.MAXFEV}


def test_a_plateau_with_little_noise_does_not_end_a_run():
    """Its samples give a gradient below the tolerance, and nothing has fallen: there may be a way off it."""
    rng = np.random.default_rng(1000)
    result = invopt.minimize(
        lambda x: 1.0 + 1e-9 * rng.standard_normal(),
        estimators.SharedSamples(n_samples=8),
        "newton-cg",
        x0=[0.3, 0.4],
        rng=0,
        maxfev=400,
    )
    assert result.status is Status.MAXFEV


def test_a_noisy_minimum_that_samples_have_come_down_to_is_one():
    """The noise is small enough for the tolerance, and the decrease is far above it."""
    rng = np.random.default_rng(3)
    result = invopt.minimize(
        lambda x: sphere(x) + 1e-6 * rng.standard_normal(),
        estimators.SharedSamples(sigma=0.3, n_samples=8),
        "newton-cg",
        x0=[2.0, -1.0],
        rng=0,
        maxfev=2000,
        gtol=1e-2,
    )
    assert result.status is Status.CONVERGED
    assert abs(result.fun) < 1e-3
