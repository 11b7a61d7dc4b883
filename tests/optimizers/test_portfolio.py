"""The default for values only: what it measures, which of its parts works, and how it ends."""

import numpy as np
import pytest

from invopt import Status, minimize, optimizers, problems


def rosenbrock(x):
    return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))


def sphere(x):
    return float(np.sum((x - 1) ** 2))


def ellipsoid(x):
    return float(np.sum(np.logspace(0, 3, len(x)) * (x + x[::-1] ** 2 / 4) ** 2))


def steps(x):
    return float(np.sum(np.floor(np.abs(x) + 0.5) ** 2))


def run(fun, x0, **options):
    """A run by default, with the values of all evaluations in their order."""
    values = []

    def noted(x):
        values.append(fun(x))
        return values[-1]

    result = minimize(noted, x0=x0, **({"rng": 0, "progress": False} | options))
    assert result.nfev == len(values)
    return result, np.array(values)


def test_smooth_functions_end_at_a_small_gradient():
    result, values = run(sphere, [3.0, 2.0])
    assert result.status is Status.CONVERGED
    assert len(values) < 30
    assert np.abs(result.x - 1).max() < 1e-6
    assert result.choice == "FunctionValue with Portfolio: values only; smooth"
    result, values = run(rosenbrock, [-1.2, 1.0])
    assert result.success
    assert len(values) < 300
    assert result.fun < 1e-10


@pytest.mark.parametrize("n", [20, 100])
def test_many_parameters(n):
    result, values = run(sphere, [3.0] * n)
    assert result.success
    assert result.fun < 1e-10
    assert len(values) < 10 * n


def test_a_function_in_single_precision():
    result, values = run(lambda x: float(np.float32(rosenbrock(x))), [-1.2, 1.0], maxfev=600)
    assert values.min() < 1e-3
    assert result.fun == values.min()


def test_steps_of_separate_parameters_are_searched_one_by_one():
    result, values = run(steps, [3.2] * 10, maxfev=400)
    assert result.fun == 0.0
    assert np.flatnonzero(values == 0)[0] < 150
    assert "separate parameters" in result.choice


def test_steps_in_directions_of_their_own():
    rotation = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    found = [run(lambda x: steps(rotation @ x), [3.0, -2.0, 2.5], rng=seed, maxfev=300)[0] for seed in range(5)]
    assert [result.fun for result in found] == [0.0] * 5
    assert all("separate" not in result.choice and "CMA-ES" in result.choice for result in found)


def test_a_constant_is_a_plateau():
    result, values = run(lambda x: 3.0, [1.0, 2.0])
    assert result.status is Status.PLATEAU
    assert not result.success
    assert len(values) < 150


def test_at_the_noise_it_ends_with_error_bars():
    """Errors of 24 parameters in their own error bars: a chi-square below its 1 - 1e-6 quantile, bars doubled.

    The regression selects its region, so that its bars are up to twice too small.
    """
    scaled = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        result, _ = run(lambda x, rng=rng: sphere(x) + 0.05 * rng.standard_normal(), [3.0, -1.0], rng=seed)
        assert result.status is Status.NOISE_FLOOR
        assert "noise" in result.choice
        np.testing.assert_allclose(np.diag(result.covariance), result.x_standard_error**2)
        scaled.append((result.x - 1) / (2 * result.x_standard_error))
    # The 1 - 1e-6 quantile of chi-square with 24 degrees of freedom.
    assert np.sum(np.square(scaled)) < 73.1


def test_noise_alone_is_no_success():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        result, _ = run(lambda x, rng=rng: float(rng.standard_normal()), [1.0, 2.0], rng=seed, maxfev=2000)
        assert not result.success


@pytest.mark.parametrize(
    "fun",
    [sphere, rosenbrock, steps, lambda x: float(np.abs(x).sum()), lambda x: float(np.sin(5 * x).sum() + x @ x)],
    ids=["sphere", "rosenbrock", "steps", "kinks", "waves"],
)
@pytest.mark.parametrize("maxfev", [1, 5, 17, 60, 200])
def test_the_answer_is_the_best_evaluated_within_any_budget(fun, maxfev):
    result, values = run(fun, [2.3, -1.2, 0.4], maxfev=maxfev)
    assert len(values) <= maxfev
    assert result.fun == fun(result.x)
    assert result.fun <= values.min() + 1e-9 * (values[0] - values.min())


def test_bounds_hold_and_a_minimum_at_one_is_found():
    points = []

    def noted(x):
        points.append(x.copy())
        return sphere(x)

    result = minimize(noted, x0=[3.0, 2.0, 2.0], bounds=[(2, 4), (None, 5), (0, None)], rng=0, progress=False)
    assert result.success
    np.testing.assert_allclose(result.x, [2, 1, 1], atol=1e-6)
    assert ((np.array(points) >= [2, -np.inf, 0]) & (np.array(points) <= [4, 5, np.inf])).all()


def test_walls_next_to_the_answer():
    result, _ = run(lambda x: sphere(x) if x[0] > 0.95 else np.inf, [3.0, 2.0], maxfev=500)
    assert result.success
    assert np.abs(result.x - 1).max() < 1e-4


def test_the_same_bits_for_one_rng_and_from_batches():
    first, _ = run(lambda x: steps(x) + sphere(x), [3.0, 2.0], maxfev=150)
    again, _ = run(lambda x: steps(x) + sphere(x), [3.0, 2.0], maxfev=150)
    np.testing.assert_array_equal(first.history.x, again.history.x)


def test_points_of_a_gradient_are_evaluated_at_once():
    sizes = []

    def rows(x):
        sizes.append(len(x))
        return ((x - 1) ** 2 * np.arange(1, 9)).sum(1)

    problem = problems.Function(fun=rows, x0=np.full(8, 3.0), vectorized=True)
    assert minimize(problem, rng=0, progress=False).success
    assert sizes.count(8) >= 3


def rounds(fun, batch, x0, target):
    """Rounds of four evaluations at once, and evaluations, until a value is reached."""
    calls = []

    def noted(points):
        values = np.array([fun(x) for x in points])
        calls.append((len(points), values.min()))
        return values

    problem = problems.Function(fun=noted, x0=x0, vectorized=True)
    minimize(problem, method=optimizers.Portfolio(batch=batch), rng=0, maxfev=600, progress=False)
    needed = next(i for i, (_, value) in enumerate(calls) if value <= target) + 1
    return sum(-(-count // 4) for count, _ in calls[:needed]), sum(count for count, _ in calls[:needed])


@pytest.mark.parametrize(("fun", "target"), [(rosenbrock, 1e-2), (ellipsoid, 1e-4), (lambda x: sphere(x) ** 2, 1e-6)])
def test_batches_take_fewer_rounds(fun, target):
    start = np.array([-1.2, 1.0, 0.5, -0.5, 1.5])
    one, spent = rounds(fun, 1, start, target)
    four, more = rounds(fun, 4, start, target)
    assert four <= 0.9 * one
    assert spent <= more <= 1.6 * spent


def test_workers_choose_the_batch_of_the_default():
    assert minimize(sphere, [3.0, 2.0], maxfev=5, rng=0, progress=False).method.batch == 1
    assert minimize(sphere, [3.0, 2.0], maxfev=5, rng=0, progress=False, workers=2).method.batch == 2


def test_a_kept_run_continues_with_its_batch(tmp_path):
    options = {"rng": 0, "progress": False, "journal": tmp_path / "runs.sqlite"}
    first = minimize(rosenbrock, [-1.2, 1.0], maxfev=20, workers=2, **options)
    again = minimize(rosenbrock, [-1.2, 1.0], maxfev=40, **options)
    # All but the evaluations of the first answer.
    assert again.n_replayed >= first.nfev - 4
    assert again.method.batch == 2
