"""Priors: posteriors in closed form, their error bars, and what is refused."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.stats
import torch
from attrs import evolve

from invopt import Capability, Gaussian, IncompatibleError, Session, Status, WrongValueError, minimize, problems
from invopt.core.priors import with_prior
from invopt.plugin import Grid

RNG = np.random.default_rng(0)
# The first and the third parameter change the same residuals: the prior alone tells them apart.
SLOPES = RNG.standard_normal((6, 3)) @ np.array([[1.0, 0, 1], [0, 1, 0], [0, 0, 0]])
NOISE = 0.1
MEAN, STD = np.array([0.0, 0.3, -0.2]), np.array([0.5, 2.0, 0.4])
FALSE_ALARM = 1e-6


def posterior(data, precision=None):
    """Mean and covariance of the parameters in closed form."""
    precision = np.diag(STD**-2) if precision is None else precision
    covariance = np.linalg.inv(SLOPES.T @ SLOPES / NOISE**2 + precision)
    return covariance @ (SLOPES.T @ data / NOISE**2 + precision @ MEAN), covariance


def of_residuals(data, **more):
    return problems.Function(
        fun=lambda x: SLOPES @ x - data, x0=[1.0, 1.0, 1.0], residuals=True, noise_std=NOISE, **more
    )


def of_values(data):
    return lambda x: float(0.5 * np.square(SLOPES @ x - data).sum() / NOISE**2)


DATA = SLOPES @ [0.3, -0.2, 0.5] + NOISE * RNG.standard_normal(6)


@pytest.mark.parametrize(
    ("problem", "options"),
    [
        (of_residuals(DATA), {}),
        (of_residuals(DATA), {"method": "newton"}),
        (of_residuals(DATA), {"estimator": "finite-difference", "method": "bfgs"}),
        (of_residuals(DATA, jac=lambda x: SLOPES), {}),
        (of_values(DATA), {"x0": [1.0, 1.0, 1.0]}),
        (of_values(DATA), {"x0": [1.0, 1.0, 1.0], "method": "nelder-mead", "xtol": 1e-9}),
    ],
    ids=["kriging", "newton", "differences", "derivatives", "values", "scipy"],
)
@pytest.mark.parametrize("dense", [False, True])
def test_mean_and_covariance_of_a_linear_gaussian_posterior(problem, options, dense):
    covariance = np.diag(STD**2) + dense * 0.1 * np.ones((3, 3))
    prior = Gaussian(MEAN, covariance=covariance) if dense else (MEAN, STD)
    found = minimize(problem, prior=prior, rng=0, maxfev=600, **options)
    mean, errors = posterior(DATA, np.linalg.inv(covariance))
    assert found.success
    np.testing.assert_allclose(found.x, mean, atol=2e-4)
    np.testing.assert_allclose(found.covariance, errors, rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(found.x_standard_error, np.sqrt(np.diag(errors)), rtol=1e-3)


def test_value_of_a_posterior_is_the_mean_square_and_the_share_of_the_prior():
    found = minimize(of_residuals(DATA), prior=(MEAN, STD), rng=0, maxfev=60)
    share = NOISE**2 / 6 * np.square((found.x - MEAN) / STD).sum()
    assert found.fun_prior == pytest.approx(share)
    assert found.fun - found.fun_prior == pytest.approx(np.square(SLOPES @ found.x - DATA).mean())
    assert minimize(of_residuals(DATA), rng=0, maxfev=20).fun_prior == 0.0
    found = minimize(of_values(DATA), [1.0, 1.0, 1.0], prior=(MEAN, STD), rng=0, maxfev=300)
    assert found.fun_prior == pytest.approx(0.5 * np.square((found.x - MEAN) / STD).sum())


def test_known_noise_alone_gives_the_error_bars_of_least_squares():
    slopes = np.random.default_rng(1).standard_normal((8, 2))
    problem = problems.Function(
        fun=lambda x: slopes @ np.sinh(x) - np.ones(8), x0=[0.3, 0.3], residuals=True, noise_std=0.2
    )
    found = minimize(problem, rng=0, maxfev=100)
    jacobian = slopes * np.cosh(found.x)
    np.testing.assert_allclose(found.covariance, 0.04 * np.linalg.inv(jacobian.T @ jacobian), rtol=1e-3, atol=1e-5)


def miss():
    """Squared distances of 30 true points from their answers, in units of the error bars."""
    total = 0.0
    for seed in range(30):
        rng = np.random.default_rng([1, seed])
        truth = MEAN + STD * rng.standard_normal(3)
        data = SLOPES @ truth + NOISE * rng.standard_normal(6)

        def noisy(x, seed, data=data):
            return SLOPES @ x - data + 0.05 * np.random.default_rng(seed).standard_normal(6)

        problem = problems.Function(fun=noisy, x0=MEAN, residuals=True, noise_std=NOISE, seeded=True)
        found = minimize(problem, prior=(MEAN, STD), rng=seed, maxfev=200)
        assert found.status is Status.NOISE_FLOOR
        total += (found.x - truth) @ np.linalg.solve(found.covariance, found.x - truth)
    return total


def test_error_bars_of_noisy_posteriors_cover_the_truth():
    total = miss()
    low, high = scipy.stats.chi2(90).ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2])
    assert low < total < high
    # Half as long, they would not.
    assert 4 * total > high


def differences(function, x):
    steps = 1e-5 * np.eye(len(x))
    return np.array([(function(x + step) - function(x - step)) / 2e-5 for step in steps])


@pytest.mark.parametrize("residuals", [False, True])
def test_derivatives_of_a_posterior_are_those_of_its_values(residuals):
    if residuals:
        inner = of_residuals(DATA, jac=lambda x: SLOPES)
    else:
        fun = of_values(DATA)
        hess = SLOPES.T @ SLOPES / NOISE**2
        inner = problems.Function(
            fun=fun,
            jac=lambda x: SLOPES.T @ (SLOPES @ x - DATA) / NOISE**2,
            hess=lambda x: hess,
            x0=[1.0, 1.0, 1.0],
        )
    problem = with_prior(inner, Gaussian(MEAN, covariance=np.diag(STD**2) + 0.1))
    x = np.array([0.4, -0.3, 0.2])
    with problem.open() as live:
        seed = np.zeros(1, dtype=np.int64)

        def value(x):
            return float(live.fun(torch.from_numpy(x)[None], seed=seed)[0])

        known, jac = live.value_and_jac(torch.from_numpy(x), seed=0)
        assert known == pytest.approx(value(x))
        np.testing.assert_allclose(jac, differences(value, x), rtol=1e-5, atol=1e-8)
        if residuals:
            rows = live.residuals(torch.from_numpy(x)[None], seed=seed)
            assert float(rows.square().mean()) == pytest.approx(known)
        else:
            second = differences(lambda x: live.jac(torch.from_numpy(x), seed=0).numpy(), x)
            np.testing.assert_allclose(live.hess(torch.from_numpy(x), seed=0), second, rtol=1e-5, atol=1e-5)


def test_means_are_modulo_the_periods():
    problem = problems.Function(
        fun=lambda x: float((1 - np.cos(x[0])) + x[1] ** 2), x0=[6.5, 0.5], periods=[2 * np.pi, np.inf]
    )
    found = minimize(problem, prior=([0.1, 0.0], 1.0), rng=0, maxfev=200)
    # sin(d) + d - 0.1 = 0 for the distance d from a whole turn.
    assert found.x[0] - 2 * np.pi == pytest.approx(0.05, abs=1e-3)


def test_log_densities_are_any_callable_or_distribution():
    mean, errors = posterior(DATA)
    known = scipy.stats.multivariate_normal(MEAN, np.diag(STD**2))
    for prior in (known, known.logpdf):
        found = minimize(of_values(DATA), [1.0, 1.0, 1.0], prior=prior, rng=0, maxfev=400)
        np.testing.assert_allclose(found.x, mean, atol=2e-4)
        np.testing.assert_allclose(found.covariance, errors, rtol=1e-2, atol=1e-5)
        assert found.fun_prior == pytest.approx(-known.logpdf(found.x))
    found = minimize(of_residuals(DATA), prior=known, rng=0, maxfev=400)
    np.testing.assert_allclose(found.x, mean, atol=2e-4)


def test_impossible_points_are_avoided():
    def prior(x):
        return 0.0 if x[0] >= 0.4 else -math.inf

    found = minimize(lambda x: float(x @ x), [1.0, 1.0], prior=prior, rng=0, maxfev=400)
    assert found.x[0] == pytest.approx(0.4, abs=1e-3)


def test_fixed_parameters_keep_their_share_of_a_prior():
    prior = Gaussian([0.0, 0.0], covariance=[[1.0, 0.9], [0.9, 1.0]])
    found = minimize(
        lambda x: 0.0 * x[0], [0.5, 1.0], bounds=[(None, None), (1.0, 1.0)], prior=prior, rng=0, maxfev=200
    )
    # The mean of one parameter if the other is known: 0.9 times that.
    np.testing.assert_allclose(found.x, [0.9, 1.0], atol=1e-4)
    assert found.x_standard_error == pytest.approx([math.sqrt(1 - 0.81), 0.0], rel=1e-3)


def texture(noise_of_simulation):
    """A sparse problem of 8 x 8 texels, of which half are seen, with neighbours that are alike."""
    seen = np.arange(64) % 3 > 0
    truth = np.sin(np.arange(64) // 8 / 3) + np.cos(np.arange(64) % 8 / 3)
    data = truth[seen] + 0.05 * np.random.default_rng(3).standard_normal(seen.sum())

    def fun(x, seed):
        return x[seen] - data + noise_of_simulation * np.random.default_rng(seed).standard_normal(seen.sum())

    places = np.arange(64).reshape(8, 8)
    first = np.concatenate([places[:, :-1].ravel(), places[:-1].ravel()])
    second = np.concatenate([places[:, 1:].ravel(), places[1:].ravel()])
    rows = 10.0 * (np.eye(64)[second] - np.eye(64)[first])
    covariance = np.linalg.inv(rows.T @ rows + np.eye(64) / 9)
    precise = np.linalg.inv(np.linalg.inv(covariance) + np.diag(seen / 0.05**2))
    filled = np.zeros(64)
    filled[seen] = data
    problem = problems.Function(
        fun=fun, x0=np.zeros(64), residuals=True, seeded=True, noise_std=0.05, sparse=True, grids=Grid(places)
    )
    return problem, Gaussian(0.0, covariance=covariance), precise @ (filled / 0.05**2), precise


def test_sparse_problems_know_the_rows_of_their_prior():
    problem, prior, mean, covariance = texture(0.01)
    found = minimize(problem, prior=prior, rng=0, maxfev=200)
    assert type(found.estimator).__name__ == "SparseGaussNewton"
    assert found.status is Status.NOISE_FLOOR
    errors = np.sqrt(np.diag(covariance))
    assert np.abs((found.x - mean) / errors).max() < 0.3
    np.testing.assert_allclose(found.x_standard_error, errors, rtol=0.1)


def test_a_prior_is_part_of_a_kept_run(tmp_path):
    def run(prior):
        return minimize(of_residuals(DATA), prior=prior, rng=0, maxfev=30, journal=tmp_path / "runs.sqlite")

    first, again, other = run((MEAN, STD)), run((MEAN, STD)), run((MEAN, 2 * STD))
    assert again.n_replayed == first.nfev
    assert (again.x == first.x).all()
    assert other.n_replayed == 0


def test_posteriors_are_the_same_in_workers():
    with ThreadPoolExecutor(2) as pool:
        runs = [minimize(of_residuals(DATA), prior=(MEAN, STD), rng=0, maxfev=20, workers=k) for k in (1, pool)]
    assert (runs[0].x == runs[1].x).all()
    assert (runs[0].covariance == runs[1].covariance).all()


def test_posteriors_provide_what_their_problems_do():
    inner = of_residuals(DATA)
    assert with_prior(inner, (0.0, 1.0)).provides == inner.provides
    assert with_prior(inner, lambda x: 0.0).provides == Capability.FUN
    with pytest.raises(IncompatibleError, match="a log density has neither a derivative nor residuals"):
        minimize(inner, "kriging", prior=lambda x: 0.0, maxfev=9)


@pytest.mark.parametrize(
    ("prior", "error", "text"),
    [
        ((0.0, -1.0), ValueError, "'std' must be > 0"),
        ((0.0,), ValueError, r"must be a pair \(mean, std\)"),
        (([0.0, 1.0], 1.0), ValueError, "'mean' must be one number, or n = 3 numbers"),
        (3.0, TypeError, "'prior' must be a pair"),
        (lambda x: x, WrongValueError, "'prior' must return one number"),
        (lambda x: math.nan, WrongValueError, "'prior' must return one number"),
    ],
)
def test_priors_of_the_wrong_kind_are_refused(prior, error, text):
    with pytest.raises(error, match=text):
        minimize(of_values(DATA), [1.0, 1.0, 1.0], prior=prior, rng=0, maxfev=9)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"mean": 0.0}, "give 'std' or 'covariance'"),
        ({"mean": 0.0, "std": 1.0, "covariance": [[1.0]]}, "give 'std' or 'covariance'"),
        ({"mean": [0.0, 0.0], "std": [1.0, 1.0, 1.0]}, "must be of one n"),
        ({"mean": 0.0, "covariance": [[1.0, 2.0], [2.0, 1.0]]}, "symmetric and positive definite"),
    ],
)
def test_gaussians_that_are_none_are_refused(arguments, text):
    with pytest.raises(ValueError, match=text):
        Gaussian(**arguments)


def test_what_cannot_have_a_prior_says_so():
    unknown = evolve(of_residuals(DATA), noise_std=None)
    with pytest.raises(ValueError, match="'prior' needs the noise of the residuals"):
        minimize(unknown, prior=(0.0, 1.0), maxfev=9)
    with pytest.raises(IncompatibleError, match="'prior' has no effect in a Session"):
        Session(x0=[0.0], prior=(0.0, 1.0))
    with pytest.raises(ValueError, match="'noise_std' must be left out without residuals"):
        problems.Function(fun=of_values(DATA), x0=[1.0], noise_std=1.0)
