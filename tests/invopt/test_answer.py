"""The returned point is measured, inside the bounds, and the best that was seen."""

import math

import numpy as np
import pytest

import invopt
from invopt import Session, estimators, optimizers, problems

from ..estimators.error_bars import assert_bars

PAIRS = {
    "default": (None, None),
    "shared-samples": ("shared-samples", None),
    "adam": ("fr22", "adam"),
    "gradient descent": ("finite-difference", "gradient-descent"),
    "bfgs": ("finite-difference", "bfgs"),
    "newton": ("finite-difference", "newton"),
    "nelder-mead": ("function-value", "nelder-mead"),
    "cmaes": ("function-value", "cmaes"),
}
# A method that overshoots.
WILD = optimizers.GradientDescent(lr=1.5)


def rosenbrock(x):
    return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


def sphere(x):
    return float(((x - 0.7) ** 2).sum())


class Seen:
    """Values with noise by the seed; records the noise-free ones."""

    def __init__(self, fun, noise=0.0):
        self.fun, self.noise, self.values = fun, noise, []

    def __call__(self, x, seed):
        self.values.append(self.fun(x))
        return self.values[-1] + self.noise * np.random.default_rng(seed).standard_normal()


def seen(fun, pair, noise=0.0, **options):
    made = Seen(fun, noise)
    problem = problems.Function(fun=made, x0=[-1.2, 1.0], seeded=True)
    return invopt.minimize(problem, *pair, **{"rng": 0, "maxfev": 200} | options), made.values


@pytest.mark.parametrize("name", PAIRS)
def test_without_noise_fun_is_the_value_at_x_and_none_was_lower(name):
    result, values = seen(rosenbrock, PAIRS[name])
    assert result.fun == rosenbrock(result.x)
    assert result.fun_standard_error == 0
    assert result.fun <= min(values) + 1e-8 * values[0]
    assert len(values) == result.nfev <= 200


@pytest.mark.parametrize("name", PAIRS)
def test_with_noise_fun_has_a_standard_error_and_none_was_clearly_lower(name):
    noise = 0.3
    result, values = seen(rosenbrock, PAIRS[name], noise)
    assert result.fun_standard_error > 0
    # Four values at least: five true standard errors.
    assert abs(result.fun - rosenbrock(result.x)) <= 5 * noise / math.sqrt(4)
    assert rosenbrock(result.x) <= min(values) + 4 * math.sqrt(2) * noise
    assert rosenbrock(result.x) <= values[0] + 4 * math.sqrt(2) * noise
    assert len(values) == result.nfev <= 200


def test_the_standard_error_of_fun_is_that_of_a_mean_of_four_values():
    scores = []
    for seed in range(150):
        problem = problems.Function(fun=Seen(sphere, 0.3), x0=[1.5, 0.0], seeded=True)
        pair = estimators.FiniteDifference(abs_step=0.5), optimizers.GradientDescent(lr=0.1)
        result = invopt.minimize(problem, *pair, rng=seed, maxiter=1)
        scores.append((result.fun - sphere(result.x)) / result.fun_standard_error)
    assert_bars(scores, dof=3)


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a_method_that_diverges_returns_the_best_it_has_seen(noise):
    estimator = estimators.FiniteDifference(abs_step=0.1)
    result, values = seen(sphere, (estimator, WILD), noise, maxiter=6)
    assert sphere(result.x_last) > 100 > values[0] >= sphere(result.x)
    assert sphere(result.x) <= min(values) + 6 * noise + 1e-8 * values[0]
    assert not result.success


def test_a_mean_square_that_is_extrapolated_is_never_returned():
    """A fit to samples can predict less than 0 for a sum of squares."""
    result, _ = seen(lambda x: rosenbrock(5 * x), ("shared-samples", None), x_scale=[0.3, 0.3])
    assert result.history.fun.size > 1
    assert result.fun == rosenbrock(5 * result.x) >= 0


@pytest.mark.parametrize("n", [2, 5])
@pytest.mark.parametrize("method", [None, "adam"])
def test_fun_of_residuals_is_their_mean_square_at_x(method, n):
    def residuals(x):
        return np.concatenate([10 * (x[1:] - x[:-1] ** 2), 1 - x[:-1]])

    problem = problems.Function(fun=residuals, x0=np.full(n, -1.0), residuals=True)
    result = invopt.minimize(problem, None, method, rng=0, maxfev=150)
    assert result.fun == pytest.approx(np.square(residuals(result.x)).mean(), rel=1e-12)
    for x in (problem.x0, result.x_last, result.x_best):
        assert result.fun <= np.square(residuals(x)).mean() * (1 + 1e-9)


def test_where_the_start_is_the_answer_its_own_value_is_returned():
    result = invopt.minimize(lambda x: ((x - 1) ** 2).sum(), x0=[1.0, 1.0], rng=0, maxfev=200)
    assert result.fun == ((result.x - 1) ** 2).sum()
    assert result.fun <= 0


@pytest.mark.parametrize("maxfev", [1, 2, 3, 7, 20, 41])
@pytest.mark.parametrize("name", ["default", "bfgs", "cmaes", "adam"])
def test_measuring_stays_inside_any_budget(name, maxfev):
    result, values = seen(sphere, PAIRS[name], 0.1, maxfev=maxfev)
    assert len(values) == result.nfev <= maxfev
    if values:
        assert math.isfinite(result.fun)
        # The default may need no more than 20.
        assert not result.success or name == "default"


def test_history_says_which_values_are_smoothed():
    smoothed, _ = seen(sphere, ("shared-samples", None))
    exact, _ = seen(sphere, ("finite-difference", "bfgs"))
    assert smoothed.history.smoothed.tolist() == [1.0] * len(smoothed.history)
    assert exact.history.smoothed.tolist() == [0.0] * len(exact.history)


@pytest.mark.parametrize("name", ["default", "shared-samples", "bfgs", "newton", "nelder-mead", "adam"])
def test_narrow_boxes(name):
    options = {"rng": 0, "maxfev": 400}
    one = invopt.minimize(
        lambda x: ((x - [2e-4, 7e-4]) ** 2).sum() * 1e6,
        *PAIRS.get(name, PAIRS["adam"]),
        x0=[5e-4] * 2,
        bounds=[(0, 1e-3)] * 2,
        **options,
    )
    other = invopt.minimize(
        lambda x: (x[0] / 1e3 - 0.2) ** 2 + (x[1] * 1e3 - 0.7) ** 2,
        *PAIRS.get(name, PAIRS["adam"]),
        x0=[500, 5e-4],
        bounds=[(0, 1000), (0, 1e-3)],
        **options,
    )
    assert one.fun < 1e-3
    assert other.fun < 1e-3
    for result, width in ((one, 8.0), (other, 8.0)):
        # An eighth of each side is the unit of sigma.
        assert result.history.sigma.max() <= width / 2


@pytest.mark.parametrize("estimator", ["shared-samples", "fr22", "spsa", "aggregate-hvp"])
def test_sigma_leaves_no_box(estimator):
    problem = problems.Function(fun=sphere, x0=[0.5, 0.5], sigma=50.0, bounds=[(0, 1), (0.4, 0.6)], x_scale=[1.0, 1.0])
    result = invopt.minimize(problem, estimator, rng=0, maxfev=80)
    assert result.history.sigma.max() <= 0.1 + 1e-12


HELD = {
    **PAIRS,
    "scipy": ("finite-difference", "slsqp"),
    "trust-constr": ("finite-difference", "trust-constr"),
    "differential evolution": ("function-value", "differential-evolution"),
}


@pytest.mark.parametrize("name", HELD)
def test_equal_bounds_hold_a_parameter(name):
    points = []

    def fun(x):
        points.append(x.copy())
        return float((x[0] - 0.5) ** 2 + (x[1] - 3) ** 2 + (x[2] + 0.25) ** 2)

    bounds = [(-2, 2), (1.5, 1.5), (-2, 2)]
    result = invopt.minimize(fun, *HELD[name], x0=[0.0, 1.5, 0.0], bounds=bounds, rng=0, maxfev=300)
    assert {x[1] for x in points} == {1.5}
    assert result.x[1] == 1.5
    assert result.x.shape == (3,)
    assert result.fun == fun(result.x) < 2.4


def test_equal_bounds_hold_a_parameter_of_residuals():
    problem = problems.Function(fun=lambda x: x - [0.5, 3.0, -0.25], x0=[0.0, 1.5, 0.0], residuals=True)
    result = invopt.minimize(problem, bounds=[(-2, 2), (1.5, 1.5), (-2, 2)], rng=0, maxfev=200)
    assert result.x.round(3).tolist() == [0.5, 1.5, -0.25]
    assert result.fun == pytest.approx(0.75, rel=1e-6)


def test_a_session_asks_for_nothing_but_the_held_value():
    with Session(x0=[0.0, 1.5], bounds=[(-2, 2), (1.5, 1.5)], rng=0, maxfev=80) as session:
        while not session.done:
            x = session.ask().x
            assert (x[:, 1] == 1.5).all()
            session.tell(((x - 0.5) ** 2).sum(axis=1))
    assert session.result.x.round(3).tolist() == [0.5, 1.5]


def test_all_held_is_evaluated_as_it_is():
    result = invopt.minimize(sphere, x0=[1.0, 2.0], bounds=[(1, 1), (2, 2)], rng=0, maxfev=50)
    assert result.x.tolist() == [1.0, 2.0]
    assert result.fun == sphere(result.x)
