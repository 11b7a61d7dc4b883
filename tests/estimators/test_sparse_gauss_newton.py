"""Sparse Gauss-Newton: its Jacobian, its answer, and failures of locality."""

import numpy as np
import pytest
import torch
from attrs import frozen
from scipy.sparse import eye_array, random_array, vstack

from invopt import Capability, Objective, Problem, Status, minimize, problems
from invopt.estimators import SparseGaussNewton
from invopt.estimators.least_squares.sparse_jacobian import explained, identify
from invopt.optimizers import NewtonCG

from .error_bars import assert_bars, decorrelated

N, M = 150, 600


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


@frozen(eq=False)
class Local(Problem):
    provides = Capability.FUN | Capability.RESIDUALS
    sigma = 0.05
    samples = 4
    count: int = N
    density: float = 0.012
    start: float = 0.0

    @property
    def x0(self):
        return np.full(self.count, self.start)

    @property
    def jacobian(self):
        rng = np.random.default_rng(0)
        others = random_array((M - self.count, self.count), density=self.density, rng=rng, data_sampler=rng.normal)
        # Each parameter must show.
        return vstack([eye_array(self.count), others]).tocsr()

    def open(self):
        return _Local(self.jacobian, 0.02)


@frozen(eq=False)
class Dense(Local):
    density: float = 1.0


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


@pytest.mark.parametrize(("n", "density", "runs"), [(150, 0.012, 1), (30, 0.06, 5)], ids=["few blocks", "many blocks"])
def test_many_parameters_in_few_evaluations_with_error_bars(n, density, runs):
    problem, scores = Local(n, density), []
    for seed in range(runs):
        found = minimize(problem, SparseGaussNewton(), NewtonCG(trust_radius=1e3, forcing=1e-3), rng=seed, maxfev=400)
        assert found.status is Status.NOISE_FLOOR
        assert found.nfev < 130
        scores.append((found.x - 0.5) / found.x_standard_error)
    assert_bars(decorrelated(scores, problem.jacobian.toarray()))


def test_it_says_where_locality_does_not_hold():
    found = minimize(Dense(), SparseGaussNewton(), NewtonCG(), rng=0, maxfev=30)
    assert "more than 4 parameters act on a residual" in found.message
    local = minimize(Local(), SparseGaussNewton(), NewtonCG(), rng=0, maxfev=30)
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


class _Bent(_Local):
    def residuals(self, x, *, seed, spp=None):
        noise = np.array([np.random.default_rng(int(s)).standard_normal(3 * N) for s in seed])
        return torch.from_numpy((x.numpy() ** 2 - 4).repeat(3, 1) + 0.01 * noise / np.sqrt((spp or 4) / 4))


class Bent(Local):
    def open(self):
        return _Bent(None, 0.0)


def test_a_jacobian_that_holds_no_longer_is_identified_again():
    found = minimize(Bent(start=0.5), SparseGaussNewton(), NewtonCG(trust_radius=1e3), rng=0, maxfev=2000)
    # The slope is 1 at the start and 4 at the answer, and errors there are those of the slope there.
    assert found.status is Status.NOISE_FLOOR
    assert_bars((found.x - 2) / found.x_standard_error)


def test_what_went_wrong_is_no_success():
    found = minimize(Dense(), SparseGaussNewton(), NewtonCG(trust_radius=1e3), rng=0, maxfev=2000)
    assert not found.success
    assert found.x_standard_error is None
    assert ";" in found.message


@pytest.mark.parametrize("n", [21, 50])
def test_there_is_no_noise_floor_without_noise(n):
    def rosenbrock(x):
        return np.concatenate([10 * (x[1:] - x[:-1] ** 2), 1 - x[:-1]])

    problem = problems.Function(fun=rosenbrock, x0=np.full(n, -1.2), residuals=True, sparse=True, sigma=0.1)
    found = minimize(problem, rng=0, maxfev=600)
    assert found.status is not Status.NOISE_FLOOR
    assert not found.success or np.abs(found.x - 1).max() < 1e-3


def test_without_samples_to_raise_it_ends_where_residuals_no_longer_fall():
    n = 100
    rng, scores = np.random.default_rng(0), []
    truth, shift = rng.standard_normal(n), np.roll(np.eye(n), 1, 0)
    jacobian = np.concatenate([np.eye(n) + 0.5 * shift, 0.7 * np.eye(n) - 0.3 * shift @ shift])

    def residuals(x, seed):
        return jacobian @ (x - truth) + 0.01 * np.random.default_rng(seed).standard_normal(2 * n)

    for seed in range(2):
        problem = problems.Function(fun=residuals, x0=np.zeros(n), residuals=True, sparse=True, seeded=True, sigma=0.3)
        found = minimize(problem, rng=seed, maxfev=200)
        assert found.status is Status.NOISE_FLOOR
        assert found.history.nfev[-1] < 40
        scores.append((found.x - truth) / found.x_standard_error)
    assert_bars(decorrelated(scores, jacobian))
