"""Grey boxes: derivatives against dense ones, and the memory of a product."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from invopt import Capability, Objective, Problem, estimators, problems, testing
from invopt.core.machine.clock import Clock
from invopt.problems.network.mug_network import PictureNetwork
from invopt.run.arguments.options import Options
from invopt.run.loop import open_evaluator
from invopt.run.prepare import prepare

from .grey_boxes import CURVATURES, INPUTS, SCALE, SLOPES, curved, estimates, linear, make_bowl, make_problem


def dense(problem, items=(0, 1, 2)):
    """Gradient and J'HJ with every Jacobian written out."""
    network, w = problem.network, problem.as_tensor(problem.x0)
    jac, hess = np.zeros(problem.n), np.zeros((problem.n, problem.n))
    for k in items:
        given = torch.from_numpy(INPUTS[k : k + 1])
        J = torch.autograd.functional.jacobian(lambda w: network(w, given)[0], w).numpy()  # noqa: B023
        x = network(w, given)[0].detach().numpy()
        jac += J.T @ (CURVATURES[k] @ x + SLOPES[k]) / len(items)
        hess += J.T @ CURVATURES[k] @ J / len(items)
    return jac, hess


# The chain rule
@pytest.mark.parametrize("model", [linear, curved], ids=lambda model: model.__name__)
def test_exact_inner_derivatives_give_exact_ones(model):
    problem = make_problem(model())
    (found,) = estimates(problem, estimators.FiniteDifference(abs_step=0.5))
    jac, hess = dense(problem)
    p = np.random.default_rng(0).standard_normal(problem.n)
    assert np.abs(found.jac.numpy() - jac).max() < 1e-9
    assert np.abs(found.hessp(torch.from_numpy(p)).numpy() - hess @ p).max() < 1e-9
    assert not found.standard_error.any()
    assert not found.partial


def test_curvature_does_not_leak_between_items():
    # One-hot inputs: the columns of the weights belong to one item each, so H is block-diagonal.
    model = nn.Linear(3, 2, bias=False, dtype=torch.float64)
    problem = problems.GreyBox(model, make_bowl(), np.eye(3), targets=np.arange(3))
    (found,) = estimates(problem, estimators.FiniteDifference(abs_step=0.5))
    hess = torch.stack([found.hessp(row) for row in torch.eye(6, dtype=torch.float64)]).numpy().reshape(2, 3, 2, 3)
    expected = np.zeros((2, 3, 2, 3))
    for k in range(3):
        expected[:, k, :, k] = CURVATURES[k] / 3
    assert np.abs(hess - expected).max() < 1e-9


@pytest.mark.parametrize(
    "estimator",
    [
        estimators.SharedSamples(sigma=0.3, n_samples=4),
        estimators.AggregateHVP(sigma=0.3),
        estimators.AggregateHessian(sigma=0.3, n_samples=8),
        estimators.SmoothedHVP(sigma=0.3),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_sampled_derivatives_are_right_in_the_mean(estimator):
    problem = make_problem(curved())
    jac, hess = dense(problem)
    p = np.random.default_rng(0).standard_normal(problem.n)
    found = [(e.jac.numpy(), e.hessp(torch.from_numpy(p)).numpy()) for e in estimates(problem, estimator, 300)]
    testing.assert_mean([one for one, _ in found], jac)
    testing.assert_mean([product for _, product in found], hess @ p)
    with pytest.raises(AssertionError):
        testing.assert_mean([product for _, product in found], 2 * hess @ p)


class _Sheet(Objective):
    """Residuals linear in x."""

    chunk_size = 1
    slope = np.random.default_rng(1).standard_normal((12, 2))

    def residuals(self, x, *, seed, spp=None):
        return x @ torch.from_numpy(self.slope.T) + 1.0

    def fun(self, x, *, seed, spp=None):
        return self.residuals(x, seed=seed).square().mean(1)


class Sheet(Problem):
    provides = Capability.FUN | Capability.RESIDUALS
    x0 = np.zeros(2)

    def open(self):
        return _Sheet()


@pytest.mark.parametrize("pairs", [1, 2])
def test_gauss_newton_of_the_residuals_goes_through(pairs):
    problem = problems.GreyBox(nn.Linear(4, 2, bias=False, dtype=torch.float64), Sheet(), INPUTS)
    (found,) = estimates(problem, estimators.GaussNewton(sigma=0.3, n_samples=pairs, window=1))
    hess = torch.stack([found.hessp(row) for row in torch.eye(8, dtype=torch.float64)]).numpy()
    assert found.nfev == 3 * 2 * pairs
    if pairs == 2:
        curvature = 2 * _Sheet.slope.T @ _Sheet.slope / 12
        slopes = problem.predict(problem.x0) @ curvature + 2 * _Sheet.slope.mean(0)
        assert np.abs(hess - np.kron(curvature, INPUTS.T @ INPUTS / 3)).max() < 1e-6
        assert np.abs(found.jac.numpy() - (slopes.T @ INPUTS / 3).ravel()).max() < 1e-6
    else:
        # One pair estimates the curvature of one direction per item, and no other.
        values = np.linalg.eigvalsh((hess + hess.T) / 2)
        assert values.min() > -1e-9
        assert (values > 1e-6).sum() == 3


def test_the_objectives_own_derivative_goes_through():
    problem = problems.GreyBox(nn.Linear(4, 2, dtype=torch.float64), problems.Quadratic(), INPUTS)
    (found,) = estimates(problem, estimators.Autodiff())
    hess = np.array([[10.0, 7.5], [7.5, 10.0]])
    outputs = problem.predict(problem.x0)
    expected = np.concatenate([((outputs @ hess).T @ INPUTS / 3).ravel(), (outputs @ hess).mean(0)])
    assert np.abs(found.jac.numpy() - expected).max() < 1e-9


def test_shared_samples_serve_every_product():
    problem = make_problem()
    run = prepare(problem, Options(estimator=estimators.SharedSamples(n_samples=2), rng=0, progress=False))
    with run.open() as objective:
        evaluator = open_evaluator(run, objective, Clock())
        evaluator.budget = type(evaluator.budget)()
        x = problem.as_tensor(run.x0)
        found, _ = run.estimator.estimate(evaluator, x, run.estimator.init(problem), run.rng)
        for _ in range(5):
            found.hessp(x)
        assert evaluator.nfev == found.nfev == run.estimator.cost(problem.n) == 3 * 4


def test_a_unit_moves_the_outputs_by_a_sigma():
    problem = make_problem()
    (found,) = estimates(problem, estimators.SharedSamples(sigma=0.3))
    step = found.unit() * (found.jac / torch.linalg.vector_norm(found.jac)).numpy()
    moved = (problem.predict(problem.x0 + step) - problem.predict(problem.x0)) / SCALE
    assert np.sqrt((moved**2).sum(1).mean()) == pytest.approx(0.3)


class Allocations(TorchDispatchMode):
    """Counts the bytes of everything that operations return, views too: more than memory can have grown by."""

    total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        for item in found if isinstance(found, tuple | list) else [found]:
            if isinstance(item, torch.Tensor):
                self.total += item.numel() * item.element_size()
        return found


def test_a_product_takes_few_copies_of_the_weights():
    model = PictureNetwork((1, 2, 2), [7.0], [12.0])
    inner = problems.Function(fun=lambda x: float(x @ x), x0=[9.0])
    problem = problems.GreyBox(model, inner, np.full((2, 32, 32, 3), 0.5, dtype=np.float32))
    assert problem.n == 267_745
    (found,) = estimates(problem, estimators.SharedSamples())
    p = torch.randn(problem.n)
    with Allocations() as counted:
        found.hessp(p)
    copies = counted.total / (4 * problem.n)
    assert 1 < copies < 20
