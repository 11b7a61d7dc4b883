"""Contract checks that anyone can run on their own Problem, Estimator or Optimizer.

Each check takes the object, returns None, and raises ``AssertionError`` saying what is wrong. With pytest::

    @pytest.mark.parametrize("check", invopt.testing.ESTIMATOR_CHECKS)
    def test_contract(check):
        check(MyEstimator())
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm
from torch import Tensor

from invopt.core.estimator import Estimate, Estimator, Measurement, Order
from invopt.core.evaluator import HESS_COST, JAC_COST
from invopt.core.objective import ADJOINT, Adjoint, Capability, Objective
from invopt.core.optimizer import Optimizer, Oracle
from invopt.core.problem import Problem
from invopt.core.registry import find
from invopt.core.residual_equation import ResidualLoss, Sides
from invopt.core.result import Status
from invopt.derivative_check import problem_differentiates
from invopt.evaluate.evaluator import CountingEvaluator

__all__ = ["ESTIMATOR_CHECKS", "OPTIMIZER_CHECKS", "PROBLEM_CHECKS", "assert_mean", "problem_differentiates"]

_HESS = torch.tensor([[10.0, 7.5], [7.5, 10.0]], dtype=torch.float64)
_X = torch.tensor([1.0, -0.5], dtype=torch.float64)


def assert_mean(samples: ArrayLike, expected: ArrayLike, *, alpha: float = 1e-6) -> None:
    """Assert that independent samples have the expected mean, by a z-test.

    Parameters
    ----------
    samples : array_like, shape (k, ...)
        Independent samples; k of a few hundred at least, for the mean to be normal.
    expected : array_like, shape (...)
        The mean under test.
    alpha : float, default 1e-6
        Probability that a right mean is rejected, over all components together (Bonferroni).
    """
    values = np.asarray(samples, dtype=np.float64)
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    difference = np.abs(values.mean(axis=0) - np.asarray(expected, dtype=np.float64))
    # A component without any spread must be right to rounding.
    exact = 1e-9 * (1 + np.abs(values).max(axis=0))
    limit = norm.isf(alpha / (2 * max(difference.size, 1)))
    bad = difference > np.maximum(limit * error, exact)
    assert not bad.any(), (
        f"mean {values.mean(axis=0)} differs from {np.asarray(expected)} by {difference / np.maximum(error, 1e-300)} "
        f"standard errors; at most {limit:.2f} were allowed"
    )


# Problems


def problem_describes_itself(problem: Problem) -> None:
    """Shapes, ranges and names fit together, and the description can be pickled."""
    n = problem.n
    assert problem.x0.shape == (n,), "x0 must have shape (n,)"
    assert np.isfinite(problem.x0).all(), "x0 must be finite"
    assert problem.x_scale.shape == (n,), "x_scale must have shape (n,)"
    assert (problem.x_scale > 0).all(), "x_scale must be > 0"
    assert problem.periods.shape == (n,), "periods must have shape (n,)"
    assert len(problem.names) == n, "names must be n names"
    assert problem.sigma > 0, "sigma must be > 0"
    copied = pickle.loads(pickle.dumps(problem))
    assert type(copied) is type(problem), "a problem must be picklable"
    for name in ("x0", "x_scale", "periods", "names", "sigma", "x_opt", "fun_opt"):
        assert np.array_equal(getattr(copied, name), getattr(problem, name)), f"a pickled problem must keep its {name}"
    if attrs.has(type(problem)):
        for item in attrs.fields(type(problem)):
            assert hasattr(copied, item.name), f"a pickled problem must keep its field {item.name!r}"


def problem_starts_inside(problem: Problem) -> None:
    """`x0`, `starts` and `x_opt` are inside the bounds, and the truth has no error."""
    points = np.vstack([problem.x0[None], problem.starts(np.random.default_rng(0), 5)])
    assert points.shape == (6, problem.n), "starts(rng, k) must have shape (k, n)"
    if problem.x_opt is not None:
        assert problem.parameter_error(problem.x_opt) <= 1e-20, "parameter_error(x_opt) must be 0"
        points = np.vstack([points, problem.x_opt])
    if problem.bounds is not None:
        assert (points >= problem.bounds.lb).all(), "a start is below the bounds"
        assert (points <= problem.bounds.ub).all(), "a start is above the bounds"


def problem_evaluates(problem: Problem) -> None:
    """`fun` returns one value a row, is repeatable with equal seeds, and leaves its input alone."""
    x = torch.from_numpy(np.vstack([problem.x0, problem.starts(np.random.default_rng(0), 1)]))
    before, seed = x.clone(), np.array([3, 3])
    with problem.open() as objective:
        first, second = objective.fun(x, seed=seed), objective.fun(x, seed=seed)
        assert first.shape == (2,), f"fun must return (k,) values, got {tuple(first.shape)}"
        assert first.dtype == torch.float64, f"fun must return float64, got {first.dtype}"
        assert torch.equal(first, second), "equal points and seeds must give equal values"
        assert torch.equal(x, before), "fun must not modify its input"
        if Capability.RESIDUALS in problem.provides:
            residuals = objective.residuals(x, seed=seed)
            torch.testing.assert_close(residuals.double().square().mean(1), first, rtol=1e-4, atol=1e-10)


# Estimators


class _Counting(Objective):
    """A quadratic with a constant, that counts its evaluations."""

    def __init__(self) -> None:
        self.nfev = 0

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        self.nfev += x.shape[0]
        return 0.5 * ((x @ _HESS) * x).sum(1) + 0.25

    def residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        self.nfev += x.shape[0]
        # Linear, with a mean square of x'Hx / 2 + 0.25.
        parts = torch.cat([x @ torch.linalg.cholesky(0.5 * _HESS), torch.full((x.shape[0], 1), 0.5)], 1)
        return parts.double() * 3**0.5

    def value_and_jac(
        self, x: Tensor, *, seed: int, spp: int | None = None, adjoint: Adjoint = ADJOINT
    ) -> tuple[float, Tensor]:
        self.nfev += JAC_COST
        return float(0.5 * x @ _HESS @ x) + 0.25, _HESS @ x

    def hess(self, x: Tensor, *, seed: int) -> Tensor:
        self.nfev += HESS_COST
        return _HESS.clone()

    def sides(self, x: Tensor, *, seed: int, step: int, differentiate_right: bool) -> Sides:
        """The same quadratic as the mean square of a left side, the right one being zero."""
        self.nfev += 1
        weights = x.detach().clone().requires_grad_()
        root = torch.linalg.cholesky(_HESS / 2).T @ weights
        left = 3**0.5 * torch.cat([root, torch.full((1,), 0.5, dtype=x.dtype)])
        return Sides(weights=weights, left=left[None], right=torch.zeros(1, 4, 3, dtype=x.dtype), loss=_Squares())


class _Squares(ResidualLoss):
    def values(self, left: Tensor, right: Tensor) -> Tensor:
        return (left - right).square().mean(1)

    def product(self, left: Tensor, first: Tensor, second: Tensor, reference: Tensor) -> Tensor:
        return ((left - first) * (left - second)).mean(1)


def _estimate(estimator: Estimator, seed: int) -> tuple[Estimate, _Counting]:
    objective = _Counting()
    provides = Capability.FUN | Capability.JAC | Capability.HESS | Capability.RESIDUALS | Capability.SIDES
    evaluator = CountingEvaluator(objective, provides, torch.ones(2, dtype=torch.float64))
    state = estimator.init(find("problems", "quadratic")())
    return estimator.estimate(evaluator, _X, state, np.random.default_rng(seed))[0], objective


def estimator_provides_what_it_says(estimator: Estimator) -> None:
    """Every order in `provides` is in the estimate, with shapes (n,) and (n, n) and errors >= 0."""
    estimate, _ = _estimate(estimator, 0)
    assert np.isfinite(estimate.fun), "fun must be finite"
    parts: list[tuple[Tensor | None, Tensor | None, tuple[int, ...]]] = []
    if Order.JAC in estimator.provides:
        parts.append((estimate.jac, estimate.standard_error, (2,)))
    if Order.HESS in estimator.provides:
        parts.append((estimate.hess, estimate.hess_standard_error, (2, 2)))
    if Order.HESSP in estimator.provides:
        product: Measurement = estimate.measure_hessp(_X)
        parts.append((product.value, product.standard_error, (2,)))
    for value, error, shape in parts:
        assert value is not None, "a promised derivative is missing"
        assert error is not None, "a derivative has no standard error"
        assert value.shape == error.shape == shape, f"shape {tuple(value.shape)} instead of {shape}"
        assert bool((error >= 0).all()), "standard errors must be >= 0"


def estimator_counts_every_call(estimator: Estimator) -> None:
    """`cost`, `hess_cost`, `hessp_cost` and `nfev` equal what the objective was asked for."""
    estimate, objective = _estimate(estimator, 0)
    assert objective.nfev == estimate.nfev == estimator.cost(2), f"{objective.nfev} evaluations, not {estimate.nfev}"
    if Order.HESSP in estimator.provides and Order.HESS not in estimator.provides:
        estimate.hessp(_X)
        assert objective.nfev == estimator.cost(2) + estimator.hessp_cost(2), "hessp_cost is wrong"
    if Order.HESS in estimator.provides:
        _ = estimate.hess
        assert objective.nfev == estimator.cost(2) + estimator.hess_cost(2), "hess_cost is wrong"


def estimator_is_repeatable(estimator: Estimator) -> None:
    """Equal rngs give equal bits; x is left alone."""
    before = _X.clone()
    first, second = _estimate(estimator, 5)[0], _estimate(estimator, 5)[0]
    assert first.fun == second.fun, "equal rngs must give equal values"
    if first.jac is not None:
        assert second.jac is not None
        assert torch.equal(first.jac, second.jac), "equal rngs must give equal gradients"
    assert torch.equal(before, _X), "an estimator must not modify x"


def estimator_is_unbiased_on_a_quadratic(estimator: Estimator) -> None:
    """The mean of 400 gradients (Hessians) is the exact one, by a z-test with a false-alarm rate of 1e-6 each.

    Smoothing adds a constant to a quadratic and leaves its derivatives as they are, whatever the width. An estimator
    that is not unbiased must be exact to 1e-3 with 200 samples instead. The gradient of a proxy must point upwards.
    """
    if estimator.proxy:
        jac = _estimate(estimator, 0)[0].jac
        assert jac is not None, "a proxy must have a gradient"
        assert float(jac @ _HESS @ _X) > 0, "a proxy's gradient must point upwards"
        return
    if not estimator.unbiased:
        many: Any = {"n_samples": 200}
        _assert_exact(_estimate(attrs.evolve(estimator, **many), 0)[0], estimator.provides)
        return
    estimates = [_estimate(estimator, seed)[0] for seed in range(400)]
    if Order.JAC in estimator.provides:
        _assert_mean_or_close(torch.stack([e.jac for e in estimates if e.jac is not None]), _HESS @ _X)
    if Order.HESS in estimator.provides:
        _assert_mean_or_close(torch.stack([e.hess for e in estimates]), _HESS)
    if Order.HESSP in estimator.provides:
        _assert_mean_or_close(torch.stack([e.hessp(_X) for e in estimates]), _HESS @ _X)


def _assert_exact(estimate: Estimate, provides: Order) -> None:
    close: Any = {"rtol": 1e-3, "atol": 1e-3}
    if Order.JAC in provides:
        torch.testing.assert_close(estimate.jac, _HESS @ _X, **close)
    if Order.HESS in provides:
        torch.testing.assert_close(estimate.hess, _HESS, **close)
    if Order.HESSP in provides:
        torch.testing.assert_close(estimate.hessp(_X), _HESS @ _X, **close)


def _assert_mean_or_close(samples: Tensor, expected: Tensor) -> None:
    if float(samples.std(0).max()) < 1e-6:
        torch.testing.assert_close(samples.mean(0), expected, rtol=1e-5, atol=1e-5)
    else:
        assert_mean(samples.numpy(), expected.numpy())


# Optimizers


def _exact(x: Tensor, hess: Tensor, centre: float = 0.0) -> Estimate:
    """Exact estimate of a quadratic around `centre`."""
    d = x - centre
    zero = torch.zeros_like(hess)
    return Estimate(
        x=x,
        fun=float(0.5 * d @ hess @ d),
        jac=hess @ d,
        standard_error=torch.zeros_like(x),
        hessian=lambda: Measurement(hess, zero),
        nfev=0,
    )


class _Quadratic(Objective):
    def __init__(self, hess: Tensor) -> None:
        self._hess = hess

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        return 0.5 * ((x @ self._hess) * x).sum(1)


def _oracle(hess: Tensor) -> Oracle:
    evaluator = CountingEvaluator(_Quadratic(hess), Capability.FUN, torch.ones(len(hess), dtype=torch.float64))
    return Oracle(evaluator, lambda y: _exact(y, hess), np.random.default_rng(0))


def _step(optimizer: Optimizer, x: Tensor, hess: Tensor) -> Tensor:
    state = optimizer.init(x)
    try:
        moved, state = optimizer.step(x, _exact(x, hess), state, _oracle(hess))
    finally:
        optimizer.close(state)
    return moved


def optimizer_is_pure(optimizer: Optimizer) -> None:
    """Equal inputs give equal steps; x is left alone."""
    before = _X.clone()
    assert torch.equal(_step(optimizer, _X, _HESS), _step(optimizer, _X, _HESS)), "equal inputs must give equal steps"
    assert torch.equal(before, _X), "an optimizer must not modify x"


def optimizer_survives_any_curvature(optimizer: Optimizer) -> None:
    """Steps are finite for indefinite, singular, zero and negative definite Hessians, and for a zero gradient."""
    for diagonal in ([1.0, -1.0], [1.0, 0.0], [0.0, 0.0], [-1.0, -2.0]):
        moved = _step(optimizer, _X, torch.diag(torch.tensor(diagonal, dtype=torch.float64)))
        assert bool(torch.isfinite(moved).all()), f"the step is not finite for a Hessian of diag({diagonal})"
    assert bool(torch.isfinite(_step(optimizer, torch.zeros_like(_X), _HESS)).all()), "no finite step at the minimum"


def optimizer_descends(optimizer: Optimizer) -> None:
    """A hundred steps on an exact quadratic bring its value down to less than half."""
    x, oracle = _X, _oracle(_HESS)
    state = optimizer.init(x)
    try:
        for _ in range(100):
            x, state = optimizer.step(x, _exact(x, _HESS), state, oracle)
            if optimizer.status(state) is not Status.RUNNING:
                break
    finally:
        optimizer.close(state)
    before, after = _exact(_X, _HESS).fun, _exact(x, _HESS).fun
    assert after < 0.5 * before, f"the value went from {before:g} to {after:g} in a hundred steps"


PROBLEM_CHECKS: tuple[Callable[[Any], None], ...] = (
    problem_describes_itself,
    problem_starts_inside,
    problem_evaluates,
    problem_differentiates,
)
ESTIMATOR_CHECKS: tuple[Callable[[Any], None], ...] = (
    estimator_provides_what_it_says,
    estimator_counts_every_call,
    estimator_is_repeatable,
    estimator_is_unbiased_on_a_quadratic,
)
OPTIMIZER_CHECKS: tuple[Callable[[Any], None], ...] = (
    optimizer_is_pure,
    optimizer_survives_any_curvature,
    optimizer_descends,
)
