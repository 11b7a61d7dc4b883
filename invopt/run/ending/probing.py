"""Probes around the end of a run.

They tell whether the objective depends on x there, or is lower nearby.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from invopt.core.estimator import Point
from invopt.core.evaluator import Evaluator
from invopt.run.ending.measuring import Measured, is_same

__all__ = ["is_on_a_step", "probes_around", "unseen"]

# Lengths of further probes, in units of `x_scale`: long ones leave a step of the function, and short ones find a slope
# that long ones miss.
_LENGTHS = (1.0, 0.5, 0.25, 0.125)
# Probes that are evaluated for every derivative: one pair.
_PAIR = 2
# Distance in each parameter, in units of `x_scale`, up to which two points are one.
_SAME_POINT = 1e-9


def probes_around(point: Point, evaluator: Evaluator, rng: np.random.Generator, *, exact: bool) -> list[Tensor]:
    """Return pairs of points in opposite directions, in units of `x_scale`.

    The first pair is one scale away in every parameter. Where derivatives that count as exact are exactly zero, as on a
    step of a function, further pairs follow, at several lengths in random directions of the `unseen` parameters.
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
    """Return for each parameter whether its derivative is exactly zero.

    Of shape (n,); the derivative is one that counts as exact.
    """
    jac = point.estimate.jac
    return torch.zeros(point.x.shape, dtype=torch.bool) if jac is None or not exact else (jac == 0).cpu()


def is_on_a_step(base: Measured, probes: list[Measured], *, all_unseen: bool) -> bool:
    """Return whether probes show the objective flat in some direction from `base`.

    In the first pair all parameters change, and one flat probe is enough: if an object has left the picture, one of the
    two directions brings it back. Of the further probes some must be flat and some not, because a parameter may have no
    effect at all; unless all parameters are unseen.
    """
    # A probe that the bounds have projected onto the point shows nothing, nor one as near as rounding.
    same = [
        None if bool(((probe.x - base.x).abs() <= _SAME_POINT).all()) else is_same(probe.first, base.first)
        for probe in probes
    ]
    further = [value for value in same[_PAIR:] if value is not None]
    return any(same[:_PAIR]) or (any(further) and (all_unseen or not all(further)))
