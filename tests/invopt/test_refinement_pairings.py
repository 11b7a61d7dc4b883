"""What follows a descent on residuals without a model: noise, error bars, an honest status, for any pairing."""

import numpy as np
import pytest
from scipy.stats import binom

from invopt import Status, minimize, problems
from invopt.estimators import GaussNewton
from invopt.report.tables import correlations_table, outcome_table
from invopt.run.refining.derivatives import by_other_slopes, by_own_slopes
from invopt.run.refining.discrepancy import compare
from invopt.run.refining.replicates import covariance_of_mean
from invopt.testing import assert_mean

from ..estimators.error_bars import assert_bars

RUNS = 60
SLOPE = np.random.default_rng(5).standard_normal((60, 2))


def noisy(answer, noise=0.1, slope=SLOPE):
    """Slightly curved residuals whose noise depends on the seed."""

    def fun(x, seed):
        clean = slope @ (x - answer) + 0.1 * (slope @ (x - answer)) ** 2
        return clean + noise * np.random.default_rng(int(seed)).standard_normal(len(slope))

    return fun


def ended(seed, estimator, method, **options):
    answer = np.random.default_rng(seed).uniform(-1, 1, 2)
    settings = {"x0": answer + np.array([0.7, -0.4]), "residuals": True, "seeded": True} | options
    problem = problems.Function(fun=noisy(answer), **settings)
    return answer, minimize(problem, estimator, method, rng=seed, maxfev=400)


@pytest.mark.parametrize(
    ("estimator", "method"), [("gauss-newton", "newton"), ("kriging", "newton"), ("kriging", "newton-cg")]
)
def test_error_bars_hold_for_every_pairing(estimator, method):
    scores = []
    for seed in range(RUNS):
        answer, found = ended(seed, estimator, method)
        if found.x_standard_error is not None:
            assert found.status is Status.NOISE_FLOOR
            assert found.nfev < 200
            scores.append((found.x - answer) / found.x_standard_error)
    assert len(scores) >= RUNS - 2
    # The scatter of eight answers.
    assert_bars(scores, dof=7)


def test_without_noise_values_that_no_longer_fall_are_no_end():
    """Residuals that cannot vanish: the value stops falling long before the point is precise."""
    fun = noisy(np.zeros(2), noise=0.0)
    problem = problems.Function(fun=lambda x: fun(x, 0) + SLOPE[:, 0] ** 2, x0=[0.7, -0.4], residuals=True)
    found = minimize(problem, "kriging", "newton", rng=0, maxfev=200)
    assert found.success
    assert found.status is not Status.NOISE_FLOOR
    assert found.x_standard_error is None
    again = minimize(problem, "kriging", "least-surprise", rng=1, maxfev=200)
    np.testing.assert_allclose(found.x, again.x, atol=1e-4)


def test_fixed_seeds_have_no_noise_to_measure():
    _, found = ended(0, "gauss-newton", "newton")
    assert found.x_standard_error is not None
    fixed = minimize(found.problem, GaussNewton(seeds="fixed"), "newton", rng=0, maxfev=150)
    assert fixed.x_standard_error is None
    assert fixed.covariance is None


def test_a_parameter_at_its_bound_has_no_error():
    _, found = ended(3, "gauss-newton", "newton", x0=[-1.5, 0.0], bounds=[(-2, -1.2), (None, None)])
    assert found.x[0] == -1.2
    assert found.x_standard_error[0] == 0 < found.x_standard_error[1]
    assert found.covariance[0, 1] == found.covariance[0, 0] == 0


def test_fixed_parameters_have_rows_of_zeros():
    problem = problems.Function(
        fun=lambda x, seed: noisy(np.array([0.3, 0.2]))(x[[0, 2]], seed),
        x0=[1.0, 5.0, -0.2],
        x_scale=[2.0, 1.0, 0.5],
        bounds=[(None, None), (5, 5), (None, None)],
        residuals=True,
        seeded=True,
    )
    found = minimize(problem, rng=0, maxfev=200)
    assert found.covariance.shape == (3, 3)
    assert not found.covariance[1].any()
    np.testing.assert_allclose(np.sqrt(np.diag(found.covariance)), found.x_standard_error)
    np.testing.assert_allclose(found.covariance, found.covariance.T)


def test_the_covariance_of_the_mean_of_answers():
    """Unbiased variances; correlations shrunk towards 0; positive definite beyond as many parameters as answers."""
    rng = np.random.default_rng(0)
    true = np.array([[1.0, 0.9], [0.9, 4.0]])
    found = [covariance_of_mean(rng.multivariate_normal([0, 0], true, 8), 0.0) for _ in range(2000)]
    assert_mean([np.diag(each) for each in found], np.diag(true) / 8)
    with pytest.raises(AssertionError):
        assert_mean([np.diag(each) for each in found], np.diag(true) / 7)
    assert 0 < np.mean([each[0, 1] for each in found]) < 0.9 / 8
    many = covariance_of_mean(rng.standard_normal((8, 20)), 0.0)
    assert np.linalg.eigvalsh(many)[0] > 0


def test_noise_of_the_target_is_in_the_error():
    answers = np.random.default_rng(0).standard_normal((8, 2))
    alone, both = covariance_of_mean(answers, 0.0), covariance_of_mean(answers, 0.25)
    np.testing.assert_allclose(both, 3 * alone)


@pytest.mark.parametrize(("shared", "expected"), [(False, 4 / 256), (True, 1.0)])
def test_a_rendered_target_says_how_noisy_it_is(shared, expected):
    with problems.Mug(size="tiny", width=8, height=8, shared_reference=shared).open() as objective:
        assert objective.target_noise == expected
        objective.set_target(objective.reference)
        assert objective.target_noise == 0.0


def test_noise_and_what_seeds_share():
    """Sums of squares over 30 residuals: noise of variance 0.25, and a shared part of 30 * 0.3^2."""
    rng = np.random.default_rng(0)
    found = [compare(0.3 + 0.5 * rng.standard_normal((3, 30)), ()) for _ in range(2000)]
    assert_mean([each.noise for each in found], [30 * 0.25])
    assert_mean([each.common for each in found], [30 * 0.09])


def test_the_noise_of_differences_is_no_slope():
    """Noise three quarters as large as the slopes of differences: products of two seeds do not contain it."""
    rng, slopes = np.random.default_rng(0), SLOPE.T
    found = [
        by_own_slopes(slopes + 0.7 * rng.standard_normal((8, *slopes.shape)), np.full(1, 1 / 60), ())
        for _ in range(400)
    ]
    assert all(each.counts for each in found)
    assert_mean([each.instrument.hess for each in found], slopes @ slopes.T / 60)


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("k", [2, 4, 8])
def test_noise_is_taken_for_a_slope_once_in_four_thousand_measurements(n, k):
    """The test of significance alone, where one parameter changes nothing: its ratio has an F distribution."""
    rng = np.random.default_rng([n, k])
    slopes = SLOPE.T[[0, 1, 0]][:n] + np.linspace(0, 1, 60)
    slopes[0] = 0
    project = lambda rows: rows @ (slopes + 0.3 * SLOPE.T[0]).T  # noqa: E731
    runs, level = 2000, 1e-3 / 4
    wrong = sum(
        by_other_slopes(slopes + rng.standard_normal((k, n, 60)), project).significant for _ in range(runs)
    ) + sum(
        by_own_slopes(slopes + rng.standard_normal((k, n, 60)), np.full(1, 1 / 60), ()).significant for _ in range(runs)
    )
    # Above this count with probability 1e-5 at the stated rate.
    assert wrong <= binom.isf(1e-5, 2 * runs, level)


def test_pictures_far_from_the_target_are_seen_where_blurred():
    """A faint offset of all pixels is below the noise of each, and above that of their mean."""
    rng = np.random.default_rng(0)
    start = np.full(6, 1e3)
    rows = rng.standard_normal((8, 32 * 32))
    assert not compare(rows, ((32, 32),)).is_far(start)
    assert compare(rows + 0.5, ((32, 32),)).is_far(start)
    # Without a picture a minimum may have any residuals.
    assert not compare(rows + 0.5, ()).is_far(start[:1])


def test_tables_show_errors_and_correlations():
    _, found = ended(0, "gauss-newton", "newton")
    assert tuple(found.parameter_errors) == found.problem.names
    np.testing.assert_array_equal(list(found.parameter_errors.values()), found.x_standard_error)
    shown = outcome_table(found, found.problem.x0)
    assert shown.columns[3].header == "± standard error"
    assert list(shown.columns[3].cells)[:2] == [f"{error:.2g}" for error in found.x_standard_error]
    table = correlations_table(found)
    assert [column.header for column in table.columns] == ["", *found.problem.names]
    assert table.row_count == 2
    assert next(iter(table.columns[1].cells)) == "1.00"
    found.covariance = None
    assert correlations_table(found) is None
