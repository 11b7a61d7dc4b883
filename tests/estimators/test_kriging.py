"""Kriging against closed forms: linear residuals, the textbook's equations, slopes, periods."""

import math

import numpy as np
import pytest
import torch

from invopt import Status, estimators, minimize, problems
from invopt.estimators.emulation.emulator import Emulator
from invopt.estimators.emulation.kernel import Metric
from invopt.estimators.emulation.samples import Samples
from invopt.estimators.emulation.universal_kriging import krige
from invopt.evaluate.evaluator import CountingEvaluator
from invopt.exceptions import NonFiniteError


def emulated(residuals, points, periods=None):
    """The emulator of residuals at some points, and the residuals there."""
    points = np.asarray(points, dtype=float)
    values = np.array([residuals(point) for point in points])
    samples = Samples.of((), values.shape[1], points.shape[1])
    for point, row in zip(points, values, strict=True):
        samples = samples.with_one(point, row)
    metric = Metric(np.full(points.shape[1], np.inf) if periods is None else np.asarray(periods))
    kriged = krige(samples.points, samples.grams, metric)
    model = Emulator(
        kriged=kriged, levels=samples.levels, numbers=samples.numbers, cells=samples.cells, unit=1.0, shapes=()
    )
    return model, values


def waves(x):
    return np.array([math.sin(x[0] + 0.3 * x[1]), math.cos(0.5 * x[1]), 0.2 * x[0] * x[1]])


@pytest.fixture(scope="module")
def wavy():
    points = np.random.default_rng(3).uniform(-2, 2, (12, 2))
    return *emulated(waves, points), points


def estimate_at(function, x, seed=0, **settings):
    problem = problems.Function(fun=function, x0=x, residuals=True)
    one = torch.ones(len(x), dtype=torch.float64)
    evaluator = CountingEvaluator(problem.open(), problem.provides, one)
    estimator = estimators.Kriging(**settings)
    found, state = estimator.estimate(
        evaluator, torch.tensor(x, dtype=torch.float64), estimator.init(problem), np.random.default_rng(seed)
    )
    return found, state, evaluator, estimator


def test_derivatives_of_linear_residuals_are_exact():
    a, b = np.random.default_rng(0).normal(size=(7, 3)), np.arange(7.0)
    x = np.array([0.5, -1.0, 2.0])
    estimate, *_ = estimate_at(lambda point: a @ point - b, x)
    residuals = a @ x - b
    assert estimate.fun == pytest.approx(np.mean(residuals**2), rel=1e-12)
    np.testing.assert_allclose(estimate.jac.numpy(), 2 * a.T @ residuals / 7, rtol=1e-6)
    np.testing.assert_allclose(estimate.hess.numpy(), 2 * a.T @ a / 7, rtol=1e-6)
    # An error of 2 % would be seen.
    assert np.abs(1.02 * estimate.jac.numpy() - 2 * a.T @ residuals / 7).max() > 1e-3


def test_first_estimate_costs_a_simplex_and_later_ones_one_evaluation():
    estimate, state, evaluator, estimator = estimate_at(waves, [0.1, 0.2])
    assert (estimate.nfev, estimator.cost(2), estimator.next_cost(2, state)) == (3, 3, 1)
    rng, x = np.random.default_rng(1), torch.tensor([0.4, 0.2], dtype=torch.float64)
    again, state = estimator.estimate(evaluator, x, state, rng)
    assert again.nfev == 1
    known, _ = estimator.estimate(evaluator, x, state, rng)
    assert known.nfev == 0
    assert known.fun == again.fun


def test_prediction_is_the_textbooks(wavy):
    model, values, points = wavy
    level = model.kriged.levels[0]
    x = np.array([0.3, -0.7])
    k = level.kernel(model.kriged.metric.squares(points, points)) + level.nugget * np.eye(len(points))
    near = level.kernel(model.kriged.metric.squares(x[None], points))[0]
    f, g = np.hstack([np.ones((len(points), 1)), points]), np.array([1.0, *x])
    # Rasmussen and Williams, eq. 2.41 and 2.42, with a flat prior of the trend.
    inverse = np.linalg.inv(k)
    beta = np.linalg.solve(f.T @ inverse @ f, f.T @ inverse @ values)
    mean = g @ beta + near @ inverse @ (values - f @ beta)
    rest = g - f.T @ inverse @ near
    variance = level.scale * (1 - near @ inverse @ near + rest @ np.linalg.solve(f.T @ inverse @ f, rest))
    found = model.predict(x[None])
    assert found.mean[0, 0] == pytest.approx(mean @ mean, rel=1e-6)
    # A difference of nearly equal numbers.
    assert found.variance[0, 0] == pytest.approx(variance, rel=1e-4)


def test_slopes_are_those_of_the_prediction(wavy):
    model, x, step = wavy[0], np.array([2.6, -2.4]), 1e-4
    at = model.slopes(x)
    for i in range(2):
        away = step * np.eye(2)[i]
        high, low = model.predict((x + away)[None]), model.predict((x - away)[None])
        assert at.mean_slope[0, i] == pytest.approx((high.mean - low.mean)[0, 0] / (2 * step), rel=1e-4)
        assert at.variance_slope[0, i] == pytest.approx((high.variance - low.variance)[0, 0] / (2 * step), rel=1e-3)


def test_interpolates_without_noise(wavy):
    model, values, points = wavy
    found = model.predict(points)
    np.testing.assert_allclose(found.mean[:, 0], np.square(values).sum(1), rtol=1e-3)


def test_an_angle_has_the_same_prediction_a_turn_away():
    def turned(x):
        return np.array([math.cos(x[0]), math.sin(x[0]), x[1]])

    points = np.column_stack([np.linspace(0, 5, 9), np.linspace(-1, 1, 9) ** 2])
    model, _ = emulated(turned, points, periods=[2 * math.pi, np.inf])
    x = np.array([[0.4, 0.2]])
    turn = np.array([[2 * math.pi, 0.0]])
    np.testing.assert_allclose(model.predict(x)[0], model.predict(x + turn)[0], rtol=1e-9)
    np.testing.assert_allclose(model.distances(x + turn, x[0]), 0.0, atol=1e-9)


def test_likelihood_finds_the_length():
    """Samples of a Gaussian process with a known length: the median of 20 is within a factor of 1.5."""
    lengths = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        points = rng.uniform(-3, 3, (25, 1))
        k = np.exp(-0.5 * np.square(points - points.T) / 1.4**2)
        values = np.linalg.cholesky(k + 1e-8 * np.eye(25)) @ rng.standard_normal((25, 40))
        grams = (values @ values.T)[None]
        lengths.append(krige(points, grams, Metric(np.array([np.inf]))).levels[0].kernel.length)
    assert 1.4 / 1.5 < np.median(lengths) < 1.4 * 1.5


def test_instrument_of_linear_residuals_is_their_gradient():
    a = np.random.default_rng(1).normal(size=(20, 2))
    model, _ = emulated(lambda x: a @ x, [[0, 0], [1, 0], [0, 1], [0.5, 0.7]])
    x = np.array([0.2, 0.1])
    rows = a @ x + np.random.default_rng(2).normal(size=(3, 20))
    instrument = model.instrument(x, rows)
    steps = -np.linalg.solve(instrument.hess, instrument.project(rows).T).T
    np.testing.assert_allclose(steps, -np.linalg.lstsq(a, rows.T, rcond=None)[0].T, rtol=1e-4)


def test_an_evaluation_that_fails_counts_as_the_worst():
    def function(x):
        return np.full(3, np.nan) if x[0] > 1.4 else np.array([x[0], x[1] - 1, x[0] * x[1]])

    _, state, evaluator, estimator = estimate_at(function, [0.1, 0.2])
    x = torch.tensor([1.5, 0.0], dtype=torch.float64)
    estimate, state = estimator.estimate(evaluator, x, state, np.random.default_rng(0))
    assert math.isnan(estimate.fun)
    assert torch.isfinite(estimate.jac).all()
    assert not state.samples.succeeded[-1]


def test_a_start_that_fails_is_an_error():
    with pytest.raises(NonFiniteError, match="start"):
        estimate_at(lambda x: np.full(2, np.nan if x[0] == 0 else 1.0), [0.0])


def test_the_number_of_samples_is_bounded():
    _, state, evaluator, estimator = estimate_at(waves, [0.0, 0.0], max_samples=8)
    rng = np.random.default_rng(0)
    for _ in range(12):
        x = torch.from_numpy(rng.normal(size=2))
        _, state = estimator.estimate(evaluator, x, state, rng)
    assert len(state.samples.levels) == 8
    assert state.samples.numbers[-1] == 14


def test_a_point_that_is_far_from_the_best_is_still_known():
    """Its sample is none of those nearest to the best one, which a model of vectors is fitted to."""
    _, state, evaluator, estimator = estimate_at(waves, [0.0, 0.0])
    rng, far = np.random.default_rng(0), torch.tensor([30.0, -30.0], dtype=torch.float64)
    first, state = estimator.estimate(evaluator, far, state, rng)
    for _ in range(14):
        _, state = estimator.estimate(evaluator, torch.from_numpy(0.1 * rng.normal(size=2)), state, rng)
    again, _ = estimator.estimate(evaluator, far, state, rng)
    assert (again.nfev, again.fun) == (0, first.fun)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"sigma": 0.0}, "'sigma' must be > 0"), ({"max_samples": 1}, "'max_samples' must be >= 2")],
)
def test_bad_settings(settings, words):
    with pytest.raises(ValueError, match=words):
        estimators.Kriging(**settings)


@pytest.mark.parametrize(
    ("function", "x0"),
    [
        (lambda x: [x @ x - 2.0], [1.0, 0.3]),
        (lambda x: [x[0] - 1.0, 0.0 * x[1]], [0.0, 0.0]),
        (lambda x: [1e-9 * (x[0] - 1), 1e9 * (x[0] - 1)], [0.0]),
        (lambda x: [1.0, 1.0], [0.0, 0.0]),
    ],
    ids=["fewer residuals than parameters", "no effect", "ill-conditioned", "constant"],
)
def test_odd_residuals_end_with_a_status(function, x0):
    problem = problems.Function(fun=lambda x: np.array(function(x)), x0=x0, residuals=True)
    result = minimize(problem, "kriging", "least-surprise", rng=0, maxfev=120)
    assert result.fun <= np.mean(np.square(function(np.array(x0)))) + 1e-12
    assert result.status not in {Status.ERROR, Status.NONFINITE, Status.RUNNING}
