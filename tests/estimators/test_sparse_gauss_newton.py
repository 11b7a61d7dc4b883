"""Sparse Gauss-Newton: the Jacobian found, the answer, and what it says where locality does not hold."""

import numpy as np
import pytest
import torch
from scipy.sparse import random_array

from invopt import Capability, Objective, Problem, Status, minimize, problems
from invopt.estimators import SparseGaussNewton
from invopt.estimators.parameter_covariance import parameter_covariance, sparse_parameter_covariance
from invopt.estimators.sparse_jacobian import explained, identify
from invopt.optimizers import NewtonCG

N = 150


class _Local(Objective):
    def __init__(self, jacobian, noise):
        self.jacobian, self.noise = jacobian, noise

    def residuals(self, x, *, seed, spp=None):
        rows = []
        for row, s in zip(x.numpy(), seed, strict=True):
            noise = np.random.default_rng(int(s)).standard_normal(self.jacobian.shape[0])
            rows.append(self.jacobian @ (row - 0.5) + self.noise * noise / np.sqrt((spp or 4) / 4))
        return torch.from_numpy(np.array(rows))

    def fun(self, x, *, seed, spp=None):
        return self.residuals(x, seed=seed, spp=spp).square().mean(1)


class Local(Problem):
    provides = Capability.FUN | Capability.RESIDUALS
    x0 = np.zeros(N)
    sigma = 0.05
    samples = 4
    density, noise = 0.012, 0.02

    def open(self):
        rng = np.random.default_rng(0)
        sparse = random_array((600, N), density=self.density, rng=rng, data_sampler=rng.standard_normal)
        return _Local(sparse.tocsr(), self.noise)


class Dense(Local):
    density = 1.0


def test_a_sparse_jacobian_is_found_from_few_perturbations():
    rng = np.random.default_rng(1)
    true = np.zeros((300, 200))
    for row in true:
        row[rng.choice(200, 3, replace=False)] = rng.uniform(0.5, 1.5, 3) * rng.choice([-1, 1], 3)
    perturbations = rng.choice([-1.0, 1.0], (40, 200))
    found = identify(perturbations, perturbations @ true.T, 4).toarray()
    right = np.abs(found - true).max(1) < 1e-6
    assert right.mean() > 0.9
    fresh = rng.choice([-1.0, 1.0], (5, 200))
    assert explained(identify(perturbations, perturbations @ true.T, 4), fresh, fresh @ true.T) > 0.9


def test_many_parameters_in_few_evaluations_with_error_bars():
    found = minimize(Local(), SparseGaussNewton(), NewtonCG(trust_radius=1e3, forcing=1e-3), rng=0, maxfev=400)
    assert found.status is Status.NOISE_FLOOR
    assert found.nit <= 10
    seen = np.asarray(found.x_standard_error)
    error = found.x - 0.5
    assert np.abs(error).mean() < 0.02
    assert 0.5 < np.sqrt(np.mean((error / seen) ** 2)) < 3.0


def test_it_says_where_locality_does_not_hold():
    found = minimize(Dense(), SparseGaussNewton(), NewtonCG(), rng=0, maxfev=29)
    assert "more than 4 parameters act on a residual" in found.message
    local = minimize(Local(), SparseGaussNewton(), NewtonCG(), rng=0, maxfev=29)
    assert "act on a residual" not in local.message


def test_what_does_not_hold_is_no_minimum_however_small_its_gradient():
    options = {"rng": 0, "maxfev": 60, "gtol": 1e9}
    assert minimize(Local(), SparseGaussNewton(), NewtonCG(), **options).nit == 0
    other = minimize(Dense(), SparseGaussNewton(), NewtonCG(), **options)
    assert other.nit > 0
    assert not other.success


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="'neighbours' must be at most n_samples - 5"):
        SparseGaussNewton(n_samples=8, neighbours=4)
    with pytest.raises(ValueError, match="'sigma' must be > 0"):
        SparseGaussNewton(sigma=0.0)
    with pytest.raises(ValueError, match="'seeds' must be per_pair"):
        SparseGaussNewton(seeds="fresh")


@pytest.mark.parametrize("m", [90, 601])
def test_error_bars_are_those_of_the_dense_jacobian(m):
    rng = np.random.default_rng(0)
    jacobian = random_array((m, 5), density=0.5, rng=rng, data_sampler=rng.standard_normal).tocsr()
    residual = torch.from_numpy(rng.standard_normal(m))
    dense = parameter_covariance(torch.from_numpy(jacobian.toarray().T), residual)
    torch.testing.assert_close(sparse_parameter_covariance(jacobian, residual), dense)


class _Bent(_Local):
    def residuals(self, x, *, seed, spp=None):
        noise = np.array([np.random.default_rng(int(s)).standard_normal(3 * N) for s in seed])
        return torch.from_numpy((x.numpy() ** 2 - 4).repeat(3, 1) + 0.01 * noise / np.sqrt((spp or 4) / 4))


class Bent(Local):
    x0 = np.full(N, 0.5)

    def open(self):
        return _Bent(None, 0.0)


@pytest.mark.parametrize("problem", [Bent(), Dense()], ids=lambda problem: type(problem).__name__)
def test_what_went_wrong_is_no_success(problem):
    found = minimize(problem, SparseGaussNewton(), NewtonCG(trust_radius=1e3), rng=0, maxfev=2000)
    assert not found.success
    assert found.x_standard_error is None
    assert ";" in found.message


def test_without_samples_to_raise_it_ends_where_residuals_no_longer_fall():
    rng = np.random.default_rng(0)
    truth, scores = rng.standard_normal(200), []

    def residuals(x, seed):
        step = x - truth
        both = np.concatenate([step + 0.5 * np.roll(step, 1), 0.7 * step - 0.3 * np.roll(step, 2)])
        return both + 0.01 * np.random.default_rng(seed).standard_normal(400)

    for seed in range(3):
        problem = problems.Function(
            fun=residuals, x0=np.zeros(200), residuals=True, sparse=True, seeded=True, sigma=0.3
        )
        found = minimize(problem, rng=seed, maxfev=200)
        assert found.status is Status.NOISE_FLOOR
        assert found.history.nfev[-1] < 40
        scores.append((found.x - truth) / found.x_standard_error)
    assert 0.4 < np.sqrt(np.mean(np.square(scores))) < 1.5
