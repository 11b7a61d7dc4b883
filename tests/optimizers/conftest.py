"""Closed-form functions and an exact estimator, to test methods without sampling."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from attrs import field, frozen

import invopt
from invopt.core.estimator import Estimate, Estimator, Measurement, Order
from invopt.core.objective import Capability
from invopt.core.optimizer import Oracle
from invopt.core.problem import Problem
from invopt.evaluate.evaluator import CountingEvaluator
from invopt.problems import Function


@frozen(kw_only=True, eq=False)
class Landscape:
    fun: Callable[[Any], Any]
    jac: Callable[[Any], Any]
    hess: Callable[[Any], Any]
    x_opt: Any = None
    x0: Any = None


@frozen(kw_only=True, eq=False)
class Exact(Estimator):
    """Analytic derivatives; one evaluation for the value."""

    provides: ClassVar[Order] = Order.FUN | Order.JAC | Order.HESS | Order.HESSP

    landscape: Landscape = field()
    sigma: float = 0.0
    scale: Any = 1.0

    def init(self, problem: Problem) -> Any:
        return None

    def estimate(self, objective: CountingEvaluator, x: torch.Tensor, state: Any, rng: np.random.Generator) -> Any:
        point = objective.unscale(objective.project(x)).numpy()
        scale = np.broadcast_to(self.scale, point.shape)
        hess = torch.from_numpy(self.landscape.hess(point) * np.outer(scale, scale))
        found = Estimate(
            x=x,
            fun=float(objective.fun(x[None], seed=np.zeros(1, dtype=np.int64))[0]),
            jac=torch.from_numpy(self.landscape.jac(point) * scale),
            standard_error=torch.zeros_like(x),
            hessian=lambda: Measurement(hess, torch.zeros_like(hess)),
            nfev=1,
            sigma=self.sigma,
        )
        return found, state

    def cost(self, n: int) -> int:
        return 1


@frozen(kw_only=True, eq=False)
class Values(Estimator):
    """Values only."""

    provides: ClassVar[Order] = Order.FUN

    def init(self, problem: Problem) -> Any:
        return None

    def estimate(self, objective: CountingEvaluator, x: torch.Tensor, state: Any, rng: np.random.Generator) -> Any:
        fun = float(objective.fun(x[None], seed=rng.integers(1, 1000, size=1))[0])
        return Estimate(x=x, fun=fun, nfev=1), state

    def cost(self, n: int) -> int:
        return 1


@frozen(kw_only=True, eq=False)
class PlainDifferences(Estimator):
    """Forward differences with a fixed interval, without regard to noise."""

    provides: ClassVar[Order] = Order.FUN | Order.JAC
    step: float = 1e-6

    def init(self, problem: Problem) -> Any:
        return None

    def estimate(self, objective: CountingEvaluator, x: torch.Tensor, state: Any, rng: np.random.Generator) -> Any:
        n = x.numel()
        rows = torch.cat([x[None], x + self.step * torch.eye(n, dtype=x.dtype)])
        values = objective.fun(rows, seed=np.zeros(n + 1, dtype=np.int64))
        jac = (values[1:] - values[0]) / self.step
        return Estimate(x=x, fun=float(values[0]), jac=jac, standard_error=torch.zeros_like(jac), nfev=n + 1), state

    def cost(self, n: int) -> int:
        return n + 1


def quadratic(n: int, condition: float, *, centre: float = 0.5, factor: float = 1.0) -> Landscape:
    rng = np.random.default_rng(n)
    Q, _ = np.linalg.qr(rng.standard_normal((n, n)))
    H = factor * (Q * np.geomspace(1.0, condition, n)) @ Q.T
    H = 0.5 * (H + H.T)
    return from_hessian(H, np.full(n, centre))


def from_hessian(H: Any, x_opt: Any) -> Landscape:
    H, x_opt = np.asarray(H, dtype=float), np.asarray(x_opt, dtype=float)
    return Landscape(
        fun=lambda x: 0.5 * float((x - x_opt) @ H @ (x - x_opt)),
        jac=lambda x: H @ (x - x_opt),
        hess=lambda x: H,
        x_opt=x_opt,
        x0=x_opt + np.linspace(-1.5, 1.0, len(x_opt)),
    )


def rosenbrock() -> Landscape:
    from scipy.optimize import rosen, rosen_der, rosen_hess

    return Landscape(
        fun=lambda x: float(rosen(x)),
        jac=rosen_der,
        hess=lambda x: rosen_hess(x).astype(float),
        x_opt=np.ones(2),
        x0=np.array([-1.2, 1.0]),
    )


def solve(landscape: Landscape, method: Any, estimator: Any = None, **options: Any) -> invopt.OptimizeResult:
    options = {"x0": landscape.x0, "rng": 0, "progress": False, "maxiter": 500} | options
    if estimator is None:
        estimator = (
            Values() if method.requires == Order.FUN else Exact(landscape=landscape, scale=options.get("x_scale", 1.0))
        )
    return invopt.minimize(landscape.fun, estimator, method, **options)


def estimate_of(
    jac: Any, hess: Any = None, *, x: Any = None, sigma: float = 0.0, error: Any = None, fun: float = 0.0
) -> Estimate:
    jac = torch.as_tensor(jac, dtype=torch.float64)
    point = torch.zeros_like(jac) if x is None else torch.as_tensor(x, dtype=torch.float64)
    H = torch.zeros(len(jac), len(jac), dtype=torch.float64)
    H = H if hess is None else torch.as_tensor(hess, dtype=torch.float64)
    error = torch.zeros_like(jac) if error is None else torch.as_tensor(error, dtype=torch.float64)
    measured = Measurement(H, torch.zeros_like(H))
    return Estimate(x=point, fun=fun, jac=jac, standard_error=error, hessian=lambda: measured, nfev=0, sigma=sigma)


def oracle_of(landscape: Landscape, n: int, bounds: Any = None, sigma: float = 0.0) -> Oracle:
    objective = Function(fun=landscape.fun, x0=np.zeros(n)).open()
    box = None if bounds is None else tuple(torch.full((n,), float(b), dtype=torch.float64) for b in bounds)
    evaluator = CountingEvaluator(objective, Capability.FUN, torch.ones(n, dtype=torch.float64), box)
    rng = np.random.default_rng(0)
    estimator = Exact(landscape=landscape, sigma=sigma)
    return Oracle(evaluator, lambda x: estimator.estimate(evaluator, x, None, rng)[0], rng)


@pytest.fixture(scope="session")
def exact() -> SimpleNamespace:
    return SimpleNamespace(
        Exact=Exact,
        Landscape=Landscape,
        PlainDifferences=PlainDifferences,
        Values=Values,
        estimate_of=estimate_of,
        from_hessian=from_hessian,
        oracle_of=oracle_of,
        quadratic=quadratic,
        rosenbrock=rosenbrock,
        solve=solve,
    )
