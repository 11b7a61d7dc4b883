"""Least squares under known noise: residual variance and noise corrections."""

import numpy as np
import pytest
import torch

from invopt.estimators.history.history import HistoryState
from invopt.estimators.history.linear_model import extended, linear_model
from invopt.estimators.history.mean_square_estimate import mean_square_estimate
from invopt.estimators.history.regression import fit, linear
from invopt.estimators.history.window import Batch, Reweighted
from invopt.estimators.least_squares.parameter_covariance import parameter_covariance
from invopt.testing import assert_mean

from .error_bars import assert_bars

SIGMA, NOISE = 0.5, 0.3


def offsets(k, seed):
    """Asymmetric points, so that the value and the slope of a fit share noise."""
    return torch.from_numpy(0.8 + np.random.default_rng(seed).standard_normal((k, 2)))


def even(k):
    return torch.full((k,), 1 / k, dtype=torch.float64)


@pytest.mark.parametrize("k", [5, 12])
def test_what_a_fit_leaves_has_the_variance_of_the_noise(k):
    """Independent of the leverage of a sample."""
    noise = NOISE * torch.from_numpy(np.random.default_rng(0).standard_normal((k, 400)))
    model = fit(*linear(offsets(k, 1)), even(k), noise)
    # What is left of one sample is independent from column to column, not from sample to sample.
    for rest in model.rest:
        assert_bars((rest / NOISE).numpy())


@pytest.mark.parametrize("k", [5, 12])
def test_the_covariance_of_a_fit_is_that_of_its_coefficients(k):
    features, ridge = linear(offsets(k, 1))
    noise = NOISE * torch.from_numpy(np.random.default_rng(1).standard_normal((2000, k, 1)))
    found = torch.stack([fit(features, ridge, even(k), each).covariance() for each in noise])
    assert_mean(found.numpy(), (NOISE**2 * torch.linalg.inv(features.T @ features)).numpy())


def estimates(slope, level, runs, k=6):
    """Estimates of the mean square of linear residuals, each sample with independent noise."""
    rng, m = np.random.default_rng(2), slope.shape[1]
    t, x = offsets(k, 1), torch.zeros(2, dtype=torch.float64)
    for _ in range(runs):
        values = level + SIGMA * t @ slope + NOISE * torch.from_numpy(rng.standard_normal((k, m)))
        batches = (Batch(x, SIGMA, SIGMA * t, values),)
        model = linear_model(batches, Reweighted(t, even(k), batches[0].funs), extended(None, batches))
        yield mean_square_estimate(x, model, HistoryState(first=SIGMA, sigma=SIGMA, batches=batches), remembers=True)


def test_noise_of_the_samples_biases_neither_value_nor_gradient_nor_hessian():
    slope = torch.from_numpy(np.random.default_rng(3).standard_normal((2, 30)))
    level = torch.from_numpy(np.random.default_rng(4).standard_normal(30))
    found = list(estimates(slope, level, 600))
    assert_mean([each.fun for each in found], float(level.square().mean()))
    assert_mean(torch.stack([each.jac for each in found]), 2 * slope @ level / 30)
    assert_mean(torch.stack([each.hess for each in found]), 2 * slope @ slope.T / 30)


@pytest.mark.parametrize("m", [5, 12])
def test_few_residuals_tell_their_noise_by_what_parameters_leave_of_them(m):
    rng = np.random.default_rng(5)
    slope = torch.from_numpy(rng.standard_normal((2, m)))
    exact = torch.linalg.inv(slope @ slope.T)
    ratios = []
    for _ in range(400):
        noise = torch.from_numpy(rng.standard_normal(m))
        left = noise - torch.linalg.lstsq(slope.T, noise[:, None]).solution[:, 0] @ slope
        ratios.append(parameter_covariance(slope, left) / exact)
    assert_mean(torch.stack(ratios), np.ones((2, 2)))
