"""Samples follow the distributions of the paper, and densities match the samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from invopt.estimators.smoothing import kernels
from invopt.estimators.smoothing.samplers import (
    UNIFORM_HALF_WIDTH,
    AggregateGradientProposal,
    AggregateHessianProposal,
    GaussianProposal,
    SharedProposal,
    UniformProposal,
    draw_gradient_elements,
    draw_hessian_elements,
    hessian_pairs,
    signed_rayleigh,
    two_lobed,
)

from .z_tests import ALPHA, Mean, over_repetitions, rejected, seed_of

DRAWS = 1_000_000


def eq18(u):
    """CDF whose inverse the paper prints as eq. 18, sigma = 1."""
    tail = 0.5 * np.exp(-0.5 * u**2)
    return np.where(u < 0, tail, 1 - tail)


def eq21(u):
    """CDF of eq. 21, sigma = 1."""
    bump = u / 4 * np.exp(0.5 - 0.5 * u**2)
    return np.where(u < -1, -bump, np.where(u > 1, 1 - bump, 0.5 + bump))


def uniform(u):
    return np.clip(0.5 + u / (2 * UNIFORM_HALF_WIDTH), 0, 1)


def mixture(rayleigh, lobed=0.0):
    return lambda u: rayleigh * eq18(u) + lobed * eq21(u) + (1 - rayleigh - lobed) * stats.norm.cdf(u)


def follows(draws, cdf):
    return stats.kstest(draws, cdf, method="asymp").pvalue > ALPHA


@pytest.mark.parametrize(("draw", "cdf"), [(signed_rayleigh, eq18), (two_lobed, eq21)], ids=["eq18", "eq21"])
def test_inverse_is_exact(draw, cdf):
    draws = draw(np.random.default_rng(3), DRAWS)
    assert follows(draws, cdf)
    assert np.isfinite(draws).all()


@pytest.mark.parametrize(("draw", "cdf"), [(signed_rayleigh, eq18), (two_lobed, eq21)], ids=["eq18", "eq21"])
def test_two_per_cent_in_scale_would_show(draw, cdf):
    assert not follows(1.02 * draw(np.random.default_rng(3), DRAWS), cdf)


@pytest.mark.parametrize(
    ("density", "cdf"),
    [
        (lambda u: abs(u) * math.exp(-0.5 * u * u) / 2, eq18),
        (lambda u: abs(u * u - 1) * math.exp(0.5 - 0.5 * u * u) / 4, eq21),
    ],
    ids=["eq18", "eq21"],
)
def test_printed_distribution_is_that_of_the_kernel(density, cdf):
    points = np.linspace(-4, 4, 81) + 0.013
    h = 1e-5
    slope = (cdf(points + h) - cdf(points - h)) / (2 * h)
    # Truncation h^2 / 6 times a third derivative below 5, and rounding.
    np.testing.assert_allclose(slope, [density(u) for u in points], atol=1e-10 + 1e-16 / h)


def test_extreme_uniforms_give_finite_draws():
    class Extreme:
        """Generator that always returns one end of [0, 1)."""

        def __init__(self, value):
            self.value = value

        def random(self, size):
            return np.full(size, self.value)

        def integers(self, low, high, size):
            return np.full(size, low)

    for value in (0.0, 1 - 2**-53, 2**-53, 0.5, 0.5 - 2**-54):
        for draw in (signed_rayleigh, two_lobed):
            draws = draw(Extreme(value), 3)
            assert np.isfinite(draws).all()
            assert (np.abs(draws) < 10).all()


N = 3
MARGINALS = [
    (GaussianProposal(), mixture(0.0)),
    (UniformProposal(), uniform),
    (AggregateGradientProposal(), mixture(1 / N)),
    # Of n^2 elements, one has both its indices at a given dimension and 2 (n - 1) have one.
    (AggregateHessianProposal(), mixture(2 * (N - 1) / N**2, 1 / N**2)),
    (SharedProposal(), mixture(0.5 / N)),
]


@pytest.mark.parametrize(("proposal", "cdf"), MARGINALS, ids=[type(p).__name__ for p, _ in MARGINALS])
def test_marginals_of_a_proposal(proposal, cdf):
    t = proposal.draw(np.random.default_rng(4), DRAWS // 5, N).numpy()
    assert t.shape == (DRAWS // 5, N)
    assert all(follows(t[:, i], cdf) for i in range(N))


def test_marginals_of_elements_of_the_gradient():
    t = draw_gradient_elements(np.random.default_rng(5), DRAWS // 10, N).numpy()
    for element in range(N):
        for i in range(N):
            assert follows(t[element, :, i], mixture(float(i == element))), (element, i)


def test_marginals_of_elements_of_the_hessian():
    t = draw_hessian_elements(np.random.default_rng(6), DRAWS // 10, N).numpy()
    for element, (row, column) in enumerate(zip(*hessian_pairs(N), strict=True)):
        for i in range(N):
            on_diagonal = float(row == column == i)
            off_diagonal = float(row != column and i in (row, column))
            assert follows(t[element, :, i], mixture(off_diagonal, on_diagonal)), (row, column, i)


# Functions of t, and their means under the standard Gaussian.
MOMENTS = [
    (lambda t: np.ones(len(t)), 1.0),
    (lambda t: t[:, 0] ** 2, 1.0),
    (lambda t: t[:, -1] ** 2, 1.0),
    (lambda t: np.abs(t[:, 0]) * np.abs(t[:, 1]), 2 / np.pi),
    (lambda t: np.abs(t[:, 0] ** 2 - 1), 4 * math.exp(-0.5) / math.sqrt(2 * np.pi)),
    (lambda t: np.cos(t[:, 0] - 0.5 * t[:, 1] + 0.3), math.cos(0.3) * math.exp(-0.5 * 1.25)),
    (lambda t: np.max(t, axis=1) > 1, None),
]


def moments(t, weight):
    return over_repetitions(np.stack([moment(t) * weight for moment, _ in MOMENTS], axis=1))


def gaussian_means(n):
    return np.array([1 - stats.norm.cdf(1) ** n if mean is None else mean for _, mean in MOMENTS])


PROPOSALS = [GaussianProposal(), AggregateGradientProposal(), AggregateHessianProposal(), SharedProposal()]


@pytest.mark.parametrize("n", [2, 5])
@pytest.mark.parametrize("proposal", [*PROPOSALS, UniformProposal()], ids=lambda p: type(p).__name__)
def test_density_turns_means_over_draws_into_gaussian_means(proposal, n):
    # 1 / (p / N) has the mean 1 under p, and so on. A uniform proposal for n = 5 is too noisy to tell anything.
    n = min(n, 3) if isinstance(proposal, UniformProposal) else n
    t = proposal.draw(np.random.default_rng(seed_of(type(proposal), n)), DRAWS // 2, n)
    found = moments(t.numpy(), 1 / proposal.density(t).numpy())
    assert rejected({"moments": found}, {"moments": gaussian_means(n)}) == {}


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("proposal", PROPOSALS, ids=lambda p: type(p).__name__)
def test_density_integrates_to_one_and_is_that_of_the_draws(proposal, n):
    # Under the Gaussian, p / N has the mean 1, and times a moment the mean of that moment over the draws.
    rng = np.random.default_rng(seed_of("N", type(proposal), n))
    gaussian = torch.from_numpy(rng.standard_normal((DRAWS // 2, n)))
    ratio = proposal.density(gaussian).numpy()
    assert (ratio > 0).all()
    # For n = 1 "dimension 1" is dimension 0 again.
    wide = [0, 0] if n == 1 else list(range(n))
    by_weight = moments(gaussian.numpy()[:, wide], ratio)
    by_draws = moments(proposal.draw(rng, DRAWS // 2, n).numpy()[:, wide], np.ones(DRAWS // 2))
    difference = Mean(by_weight.value - by_draws.value, np.hypot(by_weight.error, by_draws.error))
    assert rejected({"moments": difference}, {"moments": np.zeros(len(MOMENTS))}) == {}
    # The first moment is the mass.
    mass = {"mass": Mean(by_weight.value[:1], by_weight.error[:1])}
    assert rejected(mass, {"mass": np.ones(1)}) == {}


def test_uniform_density_is_that_of_its_cube():
    t = torch.tensor([[0.3, -5.9], [2.0, 1.0]], dtype=torch.float64)
    side = 2 * UNIFORM_HALF_WIDTH
    expected = side**-2 / stats.norm.pdf(t.numpy()).prod(1)
    np.testing.assert_allclose(UniformProposal().density(t).numpy(), expected, rtol=1e-12)


def test_products_of_the_kernel_are_the_kernel_times_the_vector():
    rng = np.random.default_rng(8)
    t, p = torch.from_numpy(rng.standard_normal((50, 4))), torch.from_numpy(rng.standard_normal(4))
    np.testing.assert_allclose(kernels.hessian_product(t, p), kernels.hessian(t) @ p, atol=1e-12)
