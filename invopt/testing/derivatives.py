"""Check of exact derivatives against differences of values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from invopt.core.answers.asking import checked_derivative
from invopt.core.objective import Capability, Objective
from invopt.core.problem import Problem
from invopt.exceptions import InvoptError

__all__ = ["problem_differentiates"]

# Steps of the differences for the gradient and the Hessian, in units of `x_scale`. A central difference has an error of
# the order of the step squared, 1e-8 and 1e-6, far below the tolerance.
_JAC_STEP, _HESS_STEP = 1e-4, 1e-3
# Allowed difference as a share of the largest element.
_TOLERANCE = 1e-3
# Rounding of a value relative to its size, far above that of one operation in double precision, 1e-16.
_DOUBLE_ROUNDING = 1e-12
# Two ways to compute a value may differ by this factor times the rounding: a different order of many sums.
_ORDERS = 1e3
_ANY_SEED = 3
_HINT = "'{name}' of an Objective takes one point of shape (n,), while 'fun' takes points of shape (k, n)"


def problem_differentiates(problem: Problem) -> None:
    """Exact `jac` and `hess` of a problem agree with differences of values.

    Central differences with steps of 1e-4 and 1e-3 in units of `x_scale`, at the start and two points around it, inside
    the bounds. They may differ by 1e-3 of the largest element, plus rounding.
    """
    if Capability.JAC not in problem.provides or problem.renders or Capability.CHAIN in problem.provides:
        return
    points, scale = np.vstack([problem.x0, problem.starts(np.random.default_rng(0), 2)]), problem.x_scale
    if problem.bounds is not None:
        points = np.clip(points, problem.bounds.lb + _HESS_STEP * scale, problem.bounds.ub - _HESS_STEP * scale)
    with problem.open() as objective:
        for point in points:
            x = torch.from_numpy(point.copy())
            _check_jac(objective, x, torch.from_numpy(scale))
            if Capability.HESS in problem.provides:
                _check_hess(objective, x, torch.from_numpy(scale))


def _check_jac(objective: Objective, x: Tensor, scale: Tensor) -> None:
    n, steps = len(x), _JAC_STEP * torch.diag(scale)
    value, jac = _at_one_point("jac", objective.value_and_jac, x)
    _check_shape("jac", jac, (n,))
    values = objective.fun(torch.cat([x + steps, x - steps, x[None]]), seed=np.full(2 * n + 1, _ANY_SEED))
    rounding = _DOUBLE_ROUNDING * float(values.abs().max())
    alone = float(values[-1])
    assert abs(alone - value) <= _ORDERS * rounding, f"value_and_jac gives the value {value}, and fun {alone}"
    _agree("jac", jac * scale, (values[:n] - values[n:-1]) / (2 * _JAC_STEP), rounding / _JAC_STEP)


def _check_hess(objective: Objective, x: Tensor, scale: Tensor) -> None:
    hess, size = _at_one_point("hess", objective.hess, x), scale * objective.jac(x, seed=_ANY_SEED)
    _check_shape("hess", hess, (len(x), len(x)))
    steps = _HESS_STEP * torch.diag(scale)
    changes = [objective.jac(x + h, seed=_ANY_SEED) - objective.jac(x - h, seed=_ANY_SEED) for h in steps]
    found = torch.stack(changes) * scale / (2 * _HESS_STEP)
    _agree("hess", hess * torch.outer(scale, scale), found, _DOUBLE_ROUNDING * float(size.abs().max()) / _HESS_STEP)


def _at_one_point(name: str, method: Callable[..., Any], x: Tensor) -> Any:
    """Return what a method returns at one point; an error of its own gets a hint."""
    try:
        return method(x, seed=_ANY_SEED)
    except InvoptError as error:
        raise AssertionError(str(error)) from error
    except Exception as error:
        raise AssertionError(f"{name} raised {type(error).__name__}: {error}; {_HINT.format(name=name)}") from error


def _check_shape(name: str, value: Any, shape: tuple[int, ...]) -> None:
    try:
        checked_derivative(name, value, shape)
    except InvoptError as error:
        raise AssertionError(str(error)) from error


def _agree(name: str, given: Tensor, found: Tensor, rounding: float) -> None:
    worst, allowed = float((given - found).abs().max()), _TOLERANCE * float(found.abs().max()) + rounding
    assert worst <= allowed, f"{name} is {given.tolist()}, and differences give {found.tolist()}: {worst:.3g} apart"
