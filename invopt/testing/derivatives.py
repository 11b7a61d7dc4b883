"""The check of `invopt.testing` that compares exact derivatives with differences of values."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from invopt.core.objective import Capability, Objective
from invopt.core.problem import Problem

__all__ = ["problem_differentiates"]

# Steps of the differences, in units of `x_scale`; share of the largest element that they may be off.
_FIRST, _SECOND, _TOLERANCE = 1e-4, 1e-3, 1e-3
# Rounding of a value, relative to its size.
_ROUNDING = 1e-12
_SEED = 3


def problem_differentiates(problem: Problem) -> None:
    """`jac` and `hess`, where a problem has them exactly, agree with differences of values.

    Central differences with steps of 1e-4 and 1e-3 in units of `x_scale`, at the start and at two points around it,
    inside the bounds; they may differ by 1e-3 of the largest element, beyond what rounding explains.
    """
    if Capability.JAC not in problem.provides or problem.renders or Capability.CHAIN in problem.provides:
        return
    points, scale = np.vstack([problem.x0, problem.starts(np.random.default_rng(0), 2)]), problem.x_scale
    if problem.bounds is not None:
        points = np.clip(points, problem.bounds.lb + _SECOND * scale, problem.bounds.ub - _SECOND * scale)
    with problem.open() as objective:
        for point in points:
            x = torch.from_numpy(point.copy())
            _check_jac(objective, x, torch.from_numpy(scale))
            if Capability.HESS in problem.provides:
                _check_hess(objective, x, torch.from_numpy(scale))


def _check_jac(objective: Objective, x: Tensor, scale: Tensor) -> None:
    n, steps = len(x), _FIRST * torch.diag(scale)
    value, jac = objective.value_and_jac(x, seed=_SEED)
    assert jac.shape == x.shape, f"a derivative must have shape (n,), got {tuple(jac.shape)}"
    values = objective.fun(torch.cat([x + steps, x - steps, x[None]]), seed=np.full(2 * n + 1, _SEED))
    rounding = _ROUNDING * float(values.abs().max())
    alone = float(values[-1])
    assert abs(alone - value) <= 1e3 * rounding, f"value_and_jac gives the value {value}, and fun {alone}"
    _agree("jac", jac * scale, (values[:n] - values[n:-1]) / (2 * _FIRST), rounding / _FIRST)


def _check_hess(objective: Objective, x: Tensor, scale: Tensor) -> None:
    hess, size = objective.hess(x, seed=_SEED), scale * objective.jac(x, seed=_SEED)
    assert hess.shape == (len(x), len(x)), f"a Hessian must have shape (n, n), got {tuple(hess.shape)}"
    steps = _SECOND * torch.diag(scale)
    changes = [objective.jac(x + h, seed=_SEED) - objective.jac(x - h, seed=_SEED) for h in steps]
    found = torch.stack(changes) * scale / (2 * _SECOND)
    _agree("hess", hess * torch.outer(scale, scale), found, _ROUNDING * float(size.abs().max()) / _SECOND)


def _agree(name: str, given: Tensor, found: Tensor, rounding: float) -> None:
    worst, allowed = float((given - found).abs().max()), _TOLERANCE * float(found.abs().max()) + rounding
    assert worst <= allowed, f"{name} is {given.tolist()}, and differences say {found.tolist()}: {worst:.3g} apart"
