"""Methods with real estimators: exact differences, and medians over fixed seeds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize as scipy_minimize
from scipy.optimize import rosen, rosen_der

import invopt
from invopt.estimators import AggregateHVP, FiniteDifference, SharedSamples
from invopt.optimizers import BFGS, LBFGS, DampedBFGS, FletcherReevesCG, Newton, NewtonCG, Scipy
from invopt.problems import Function


@pytest.mark.parametrize("method", [Newton(), NewtonCG(), BFGS(), LBFGS(), DampedBFGS(), Scipy("bfgs")], ids=repr)
def test_finite_differences_on_rosenbrock_agree_with_scipy(method):
    reference = scipy_minimize(rosen, [-1.2, 1.0], jac=rosen_der, method="BFGS", options={"gtol": 1e-9})
    res = invopt.minimize(rosen, FiniteDifference(), method, x0=[-1.2, 1.0], rng=0, progress=False)
    assert res.success
    assert np.abs(res.x - reference.x).max() < 1e-5


def quad(X):
    return 5 * X[:, 0] ** 2 + 5 * X[:, 1] ** 2 + 7.5 * X[:, 0] * X[:, 1]


@pytest.mark.parametrize("estimator", [AggregateHVP(sigma=0.5, n_samples=4), SharedSamples(sigma=0.5)], ids=repr)
@pytest.mark.parametrize("method", [FletcherReevesCG(), NewtonCG(), BFGS(), LBFGS(), DampedBFGS()], ids=repr)
def test_sampled_estimates_descend(estimator, method):
    reached = []
    for seed in range(9):
        x0 = np.random.default_rng(seed).uniform(-3, 3, 2)
        problem = Function(fun=quad, x0=x0, vectorized=True)
        res = invopt.minimize(problem, estimator, method, rng=seed, maxfev=600, progress=False)
        end, start = quad(np.stack([res.x_last, x0]))
        reached.append(end / start)
    assert np.median(reached) < 0.1
