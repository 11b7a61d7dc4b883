"""Points around where a run ended, which show whether the objective depends on x there, or is lower nearby."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from invopt.core.estimator import Point
from invopt.core.evaluator import Evaluator
from invopt.run.ending.measuring import Measured, is_same

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


def is_on_a_step(base: Measured, probes: list[Measured], *, all_unseen: bool) -> bool:
    """Whether the probes of `probes_around` show that the objective is flat in some direction from `base`.

    Of the first pair, in which all parameters change, one alone is enough: where an object has left the picture, one
    way leads back into it. Of the others both kinds must be there, for a parameter may change nothing at all.
    """
    # What bounds have pushed back onto the point tells nothing.
    same = [None if bool((probe.x == base.x).all()) else is_same(probe.first, base.first) for probe in probes]
    further = [value for value in same[_PAIR:] if value is not None]
    return any(same[:_PAIR]) or (any(further) and (all_unseen or not all(further)))
