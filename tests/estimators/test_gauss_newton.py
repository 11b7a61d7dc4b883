"""GaussNewton: draws, fits and corrections for noise against what is known of them."""

import numpy as np
import pytest
import torch

import invopt
from invopt import Status, minimize, problems
from invopt.estimators import GaussNewton
from invopt.estimators.least_squares.linear_fit import linear_fit
from invopt.estimators.network.window import PROPOSAL, Batch, reweighted
from invopt.evaluate.evaluator import CountingEvaluator
from invopt.exceptions import UnknownNameError
from invopt.optimizers import Newton
from invopt.testing import assert_mean

from .error_bars import assert_bars
from .lines import Line, LineObjective
from .z_tests import estimate

SIGMA, NOISE = 0.5, 0.3


@pytest.mark.parametrize("n", [1, 2, 5])
def test_draws_have_the_density_stated(n):
    rng = np.random.default_rng(n)
    t = torch.cat([PROPOSAL.draw(rng, n, n) for _ in range(4000 // n)])
    weight = 1 / PROPOSAL.density(t)[:, None]
    # Moments of the Gaussian; blocks of n share a basis, so their means are what is independent. The weight itself has
    # infinite variance for n = 1, its products with t have not.
    moments = (weight * torch.cat([t, t.square(), t.square().square()], 1)).reshape(-1, n, 3 * n).mean(1)
    assert_mean(moments.numpy(), [0.0] * n + [1.0] * n + [3.0] * n)


def test_directions_are_orthogonal_within_a_basis():
    t = PROPOSAL.draw(np.random.default_rng(0), 5, 3)
    for block in (t[:3], t[3:]):
        gram = block @ block.T
        assert torch.allclose(gram, torch.diag(gram.diagonal()), atol=1e-12)


def offsets(k, seed):
    """Asymmetric points, so that the value and the slope of a fit share noise."""
    return torch.from_numpy(0.8 + np.random.default_rng(seed).standard_normal((k, 2)))


def even(k):
    return torch.full((k,), 1 / k, dtype=torch.float64)


@pytest.mark.parametrize("k", [5, 12])
def test_what_a_fit_leaves_has_the_variance_of_the_noise(k):
    """Independent of the leverage of a sample."""
    noise = NOISE * torch.from_numpy(np.random.default_rng(0).standard_normal((k, 400)))
    found = linear_fit(offsets(k, 1), even(k), noise)
    # What is left of one sample is independent from column to column, not from sample to sample.
    for rest in found.rest:
        assert_bars((rest / NOISE).numpy())


@pytest.mark.parametrize("k", [5, 12])
def test_the_excess_of_a_fit_is_the_covariance_of_its_coefficients(k):
    t = offsets(k, 1)
    features = torch.cat([torch.ones((k, 1), dtype=t.dtype), t], 1)
    noise = NOISE * torch.from_numpy(np.random.default_rng(1).standard_normal((2000, k, 1)))
    found = torch.stack([linear_fit(t, even(k), each).excess() for each in noise])
    assert_mean(found.numpy(), (NOISE**2 * torch.linalg.inv(features.T @ features)).numpy())


class Noisy(LineObjective):
    """Linear residuals with noise of their own in every evaluation."""

    def __init__(self, slope, level):
        super().__init__(slope)
        self._level, self._rng = level, np.random.default_rng(2)

    def residuals(self, x, *, seed, spp=None):
        clean = self._level + x.numpy() @ self.slope.T
        return torch.from_numpy(clean + NOISE * self._rng.standard_normal(clean.shape))


def test_noise_of_the_samples_biases_neither_value_nor_gradient_nor_hessian():
    slope, level = np.random.default_rng(3).standard_normal((30, 2)), np.random.default_rng(4).standard_normal(30)
    evaluator = CountingEvaluator(Noisy(slope, level), Line.provides, torch.ones(2, dtype=torch.float64))
    estimator, rng = GaussNewton(sigma=SIGMA, n_samples=4), np.random.default_rng(5)
    found = [estimate(estimator, evaluator, np.zeros(2), rng) for _ in range(600)]
    assert_mean([each.fun for each in found], float(np.square(level).mean()))
    assert_mean(torch.stack([each.jac for each in found]), 2 * slope.T @ level / 30)
    assert_mean(torch.stack([each.hess for each in found]), 2 * slope.T @ slope / 30)


def test_it_takes_its_samples_for_what_they_are():
    evaluator = CountingEvaluator(LineObjective(np.ones((4, 2))), Line.provides, torch.ones(2, dtype=torch.float64))
    estimator = GaussNewton(n_samples=3)
    found, _ = estimator.estimate(evaluator, torch.ones(2), estimator.init(Line()), np.random.default_rng(0))
    assert found.nfev == evaluator.nfev == 6
    assert [GaussNewton().cost(n) for n in (1, 3, 10)] == [2, 6, 20]


def test_the_samples_of_a_window_share_a_seed():
    seeds = []

    class Seen(LineObjective):
        def residuals(self, x, *, seed, spp=None):
            seeds.extend(seed)
            return super().residuals(x, seed=seed, spp=spp)

    class Watched(Line):
        def open(self):
            return Seen(np.ones((12, 2)))

    for policy, window, different in (
        ("per_pair", 8, 1),
        ("per_pair", 1, 4),
        ("per_iteration", 8, 4),
        ("fixed", 8, 1),
        ("fresh", 8, 16),
    ):
        seeds.clear()
        minimize(Watched(), GaussNewton(seeds=policy, window=window), Newton(), rng=0, maxiter=3)
        assert len(set(seeds[:16])) == different
        if policy != "fresh":
            assert [len(set(seeds[i : i + 4])) for i in range(0, 16, 4)] == [1, 1, 1, 1]


def smoothed(k, seed):
    """Gradient of a cosine by three batches around different centres, of `k` samples in all, and without weights."""
    rng, x, batches = np.random.default_rng(seed), torch.full((2,), 0.3, dtype=torch.float64), []
    for shift, sigma in ((0.6, 0.7), (-0.4, 0.4), (0.0, 0.5)):
        points = x + shift + sigma * PROPOSAL.draw(rng, k // 3, 2)
        batches.append(Batch(x + shift, sigma, points, torch.cos(2 * points.sum(1, keepdim=True))))
    t, weights = reweighted(tuple(batches), x, SIGMA)
    residuals = torch.cat([batch.residuals for batch in batches])
    return [linear_fit(t, each, residuals).coefficients[1:, 0] / SIGMA for each in (weights, even(k))]


def test_samples_of_other_centres_are_re_weighted():
    """The error of the smoothed slope falls as the root of the samples; without weights it has a bias."""
    # Smoothing multiplies the wave by its characteristic function; both slopes are equal.
    exact = -2 * np.sin(2 * 0.6) * np.exp(-0.5 * SIGMA**2 * 8)
    errors = np.array([[[(slope - exact).norm() for slope in smoothed(k, s)] for s in range(40)] for k in (90, 1440)])
    falls = np.sqrt(np.square(errors).mean(1))
    # 4 expected for 16 times the samples.
    assert 2.7 < falls[0, 0] / falls[1, 0] < 6
    assert falls[0, 1] / falls[1, 1] < 2


def test_residuals_that_are_all_zero_are_an_end():
    steps = problems.Function(fun=lambda x: (x > [0.3, 0.7]) - [0.0, 1.0], x0=[1.0, 0.0], residuals=True)
    found = minimize(steps, "gauss-newton", "newton", rng=0)
    assert found.status is Status.CONVERGED
    assert found.fun == 0
    assert found.nfev < 150


@pytest.mark.parametrize("name", ["restarts", "max_spp_factor"])
def test_removed_options_say_what_replaced_them(name):
    with pytest.raises(TypeError, match=f"GaussNewton has no option '{name}' any longer: "):
        GaussNewton(**{name: 1})
    with pytest.raises(TypeError, match="window_"):
        GaussNewton(window_=1)


def test_a_removed_estimator_says_what_replaced_it():
    for name in ("sample-history", "sample_history"):
        with pytest.raises(UnknownNameError, match="has been removed: leave the estimator out, or use SharedSamples"):
            minimize("quad", name, maxfev=10)
    with pytest.raises(AttributeError, match="AdaptiveSigma.*removed"):
        _ = invopt.AdaptiveSigma
