"""Grey boxes: minibatches, methods, workers and limits of trainings."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import invopt
from invopt import estimators, optimizers, problems

from .grey_boxes import INPUTS, SLOPES, bowl, distance, estimates, linear, make_bowl, make_problem


# Minibatches
class Watched:
    def __init__(self):
        self.seen = []

    def __call__(self, x, target):
        self.seen.append(int(target))
        return float(x @ x)


def trained_on(rng, batch_size, maxiter):
    watched = Watched()
    inner = problems.Function(fun=watched, x0=[0.0, 0.0], targeted=True)
    data = np.random.default_rng(0).standard_normal((7, 4))
    problem = problems.GreyBox(linear(), inner, data, targets=np.arange(7), batch_size=batch_size)
    res = invopt.minimize(
        problem, estimators.FR22(n_samples=1), optimizers.Adam(), rng=rng, maxiter=maxiter, progress=False
    )
    return watched.seen, res


def test_each_pass_shuffles_anew_and_sees_no_item_twice():
    seen, res = trained_on(0, 3, 5)
    batches = np.array(seen).reshape(6, 3, 2)[:, :, 0]
    passes = batches.reshape(3, 6)
    assert all(len(set(one)) == 6 for one in passes.tolist())
    assert len({tuple(one) for one in passes.tolist()}) == 3
    assert res.nfev == 36


def test_shuffling_comes_from_the_one_rng():
    assert trained_on(1, 3, 5)[0] == trained_on(1, 3, 5)[0]
    assert trained_on(1, 3, 5)[0] != trained_on(2, 3, 5)[0]


def test_a_minibatch_decides_nothing():
    # On this batch the gradient is exactly zero; another batch's is not.
    inner = problems.Function(fun=lambda x, target: float(target * (x[0] - 1) ** 2), x0=[0.0], targeted=True)
    model = nn.Linear(1, 1, dtype=torch.float64)
    problem = problems.GreyBox(model, inner, np.ones((8, 1)), targets=[0] * 7 + [1], batch_size=1)
    res = invopt.minimize(
        problem, estimators.FiniteDifference(), optimizers.Adam(lr=0.02), rng=0, maxiter=1500, progress=False
    )
    assert res.nit == 1500
    assert problem.predict(res.x)[0, 0] == pytest.approx(1.0, abs=0.05)
    assert np.array_equal(res.x, res.x_last)


@pytest.mark.parametrize("method", ["adam", "fletcher-reeves-cg", "newton-cg", "hessian-free", "gradient-descent"])
def test_every_method_trains(method):
    # The truth is linear, so all items can be matched at once.
    inner = problems.Function(fun=distance, x0=[0.0, 0.0], targeted=True)
    targets = INPUTS @ np.arange(8.0).reshape(4, 2) / 8
    chosen = {"gradient-descent": optimizers.GradientDescent(lr=0.05), "adam": optimizers.Adam(lr=0.05)}
    problem = problems.GreyBox(linear(), inner, list(zip(INPUTS, targets, strict=True)), targets=targets)
    res = invopt.minimize(
        problem,
        estimators.SharedSamples(sigma=0.2, n_samples=4),
        chosen.get(method, method),
        rng=0,
        maxiter=150,
        progress=False,
    )
    assert problem.parameter_error(res.x_last) < 1e-2 * problem.parameter_error(problem.x0)


def test_workers_change_no_bit():
    def run(workers):
        inner = problems.Function(fun=distance, x0=[0.0, 0.0], targeted=True)
        problem = problems.GreyBox(linear(), inner, INPUTS, targets=SLOPES, batch_size=2)
        return invopt.minimize(problem, "shared-samples", "adam", rng=0, maxiter=4, workers=workers, progress=False)

    alone, shared = run(1), run(2)
    assert np.array_equal(alone.x, shared.x)
    assert alone.nfev == shared.nfev


class Reader(nn.Module):
    """A small transformer over word indices."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(8, 4, dtype=torch.float64)
        self.layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, dtype=torch.float64)
        self.last = nn.Linear(4, 2, dtype=torch.float64)

    def forward(self, numbers):
        return self.last(self.layer(self.words(numbers)).mean(1))


def test_words_and_attention_are_trained_with_products():
    problem = problems.GreyBox(
        Reader(), make_bowl(), np.random.default_rng(3).integers(0, 8, (3, 5)), targets=np.arange(3)
    )
    method = optimizers.NewtonCG()
    res = invopt.minimize(problem, estimators.SharedSamples(sigma=0.1), method, rng=0, maxiter=3, progress=False)
    assert res.fun < res.history["fun"][0]


def test_an_item_without_a_finite_value_adds_nothing():
    def broken(x, target):
        return float("nan") if target == 1 else bowl(x, target)

    inner = problems.Function(fun=broken, x0=[0.0, 0.0], targeted=True)
    problem = problems.GreyBox(linear(), inner, INPUTS, targets=np.arange(3))
    exact = estimators.FiniteDifference(abs_step=0.01)
    broken_jac = next(estimates(problem, exact)).jac
    alone = problems.GreyBox(linear(), inner, INPUTS[[0, 2]], targets=np.array([0, 2]))
    np.testing.assert_allclose(broken_jac, next(estimates(alone, exact)).jac * 2 / 3, atol=1e-9)
    res = invopt.minimize(problem, estimators.FR22(n_samples=1), optimizers.Adam(), rng=0, maxiter=20, progress=False)
    assert res.nit == 20
    assert res.n_nonfinite == 40 + 2
    most = problems.Function(fun=lambda x, target: np.nan if target < 2 else 0.0, x0=[0.0, 0.0], targeted=True)
    with pytest.raises(invopt.exceptions.NonFiniteError):
        invopt.minimize(
            problems.GreyBox(linear(), most, INPUTS, targets=np.arange(3)), estimators.FR22(), rng=0, maxiter=3
        )


@pytest.mark.parametrize(
    ("limit", "status"), [({"maxtime": 0.5}, invopt.Status.MAXTIME), ({"maxiter": 100}, invopt.Status.MAXITER)]
)
def test_learning_without_evaluations_keeps_its_limits(limit, status):
    target = estimators.NewtonTarget(estimator=estimators.FiniteDifference(abs_step=0.01), steps=1)
    # The cost of the steps.
    each = 3 * target.cost(2)
    res = invopt.minimize(make_problem(), target, optimizers.Adam(), rng=0, progress=False, maxfev=each, **limit)
    assert res.nfev == each
    assert res.seconds < 20
    assert res.status is status
    assert res.nit > 10
