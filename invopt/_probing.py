"""Points around where a run ended, which show whether the objective depends on x there, or is lower nearby."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from invopt._evaluate import Evaluator
from invopt._measuring import is_same
from invopt._stopping import Point

__all__ = ["is_on_a_step", "probes_around", "unseen"]

# Lengths of further probes, in typical changes: steps of a function are found by those that are long enough, what a
# long one oversteps by the short ones.
_LENGTHS = (1.0, 0.5, 0.25, 0.125)
# How many probes come first, whatever the derivative.
_PAIR = 2


def probes_around(point: Point, evaluator: Evaluator, rng: np.random.Generator, *, exact: bool) -> list[Tensor]:
    """Pairs of points in opposite directions, in units of `x_scale`.

    The first is a typical change away. Where derivatives that pass for exact are exactly zero, as on a step of a
    function, others follow, at several lengths in random directions of the parameters that are `unseen`.
    """
    n, x = evaluator.n, point.x
    if n == 0:
        return []
    longest = min(1.0, evaluator.sigma_limit)
    away = [torch.from_numpy(rng.choice([-1.0, 1.0], n)) * longest]
    hidden = unseen(point, exact=exact).double()
    if bool(hidden.any()):
        for length in _LENGTHS:
            direction = torch.from_numpy(rng.standard_normal(n)) * hidden
            away.append(direction / torch.linalg.vector_norm(direction) * length * longest)
    return [evaluator.project(x + side * step) for step in away for side in (1, -1)]


def unseen(point: Point, *, exact: bool) -> Tensor:
    """Parameters, shape (n,), in which a derivative that passes for exact is exactly zero."""
    jac = point.estimate.jac
    return torch.zeros(point.x.shape, dtype=torch.bool) if jac is None or not exact else (jac == 0).cpu()


def is_on_a_step(base: float, values: list[float], *, all_unseen: bool) -> bool:
    """Whether values around a point, at the probes of `probes_around`, show that it lies on a flat piece.

    The further probes tell. A parameter that changes nothing at all is none of the objective's steps.
    """
    same = [is_same(value, base) for value in values[_PAIR:]]
    return any(same) and (all_unseen or not all(same))
