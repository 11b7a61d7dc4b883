"""Contract checks of optimizers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.objective import Capability, Objective
from invopt.core.optimizer import Optimizer, Oracle
from invopt.core.result import Status
from invopt.evaluate.evaluator import CountingEvaluator
from invopt.testing.quadratic import HESS, START, exact

__all__ = ["optimizer_descends", "optimizer_is_pure", "optimizer_survives_any_curvature"]

# Steps of a descent, and the share of the first value that may be left: any method that descends does better.
_DESCENT_STEPS, _MOST_LEFT = 100, 0.5


class _Quadratic(Objective):
    def __init__(self, hess: Tensor) -> None:
        self._hess = hess

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        return 0.5 * ((x @ self._hess) * x).sum(1)


def _oracle(hess: Tensor) -> Oracle:
    evaluator = CountingEvaluator(_Quadratic(hess), Capability.FUN, torch.ones(len(hess), dtype=torch.float64))
    return Oracle(evaluator, lambda y: exact(y, hess), np.random.default_rng(0))


def _step(optimizer: Optimizer, x: Tensor, hess: Tensor) -> Tensor:
    state = optimizer.init(x)
    try:
        found: Any = optimizer.step(x, exact(x, hess), state, _oracle(hess))
        is_pair = isinstance(found, tuple) and len(found) == 2
        assert is_pair, f"step must return the next point and the next state, got {type(found).__name__}"
        moved, state = found
    finally:
        optimizer.close(state)
    sound = isinstance(moved, Tensor) and moved.shape == x.shape and moved.dtype == x.dtype
    assert sound, f"the next point must be a tensor of float64 of shape (n,): {moved!r}"
    point: Tensor = moved
    return point


def optimizer_is_pure(optimizer: Optimizer) -> None:
    """Equal inputs give equal steps; x is not modified."""
    before = START.clone()
    assert torch.equal(_step(optimizer, START, HESS), _step(optimizer, START, HESS)), (
        "equal inputs must give equal steps"
    )
    assert torch.equal(before, START), "an optimizer must not modify x"


def optimizer_survives_any_curvature(optimizer: Optimizer) -> None:
    """Steps are finite for any Hessian, and for a zero gradient.

    Hessians are indefinite, singular, zero and negative definite.
    """
    for diagonal in ([1.0, -1.0], [1.0, 0.0], [0.0, 0.0], [-1.0, -2.0]):
        moved = _step(optimizer, START, torch.diag(torch.tensor(diagonal, dtype=torch.float64)))
        assert bool(torch.isfinite(moved).all()), f"the step is not finite for a Hessian of diag({diagonal})"
    assert bool(torch.isfinite(_step(optimizer, torch.zeros_like(START), HESS)).all()), "no finite step at the minimum"


def optimizer_descends(optimizer: Optimizer) -> None:
    """A hundred steps on an exact quadratic reduce its value to less than half."""
    x, oracle = START, _oracle(HESS)
    state = optimizer.init(x)
    try:
        for _ in range(_DESCENT_STEPS):
            x, state = optimizer.step(x, exact(x, HESS), state, oracle)
            if optimizer.status(state) is not Status.RUNNING:
                break
    finally:
        optimizer.close(state)
    before, after = exact(START, HESS).fun, exact(x, HESS).fun
    assert after < _MOST_LEFT * before, f"the value went from {before:g} to {after:g} in {_DESCENT_STEPS} steps"
