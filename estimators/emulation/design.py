"""First points of an emulator: one sigma away along each parameter."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from invopt.plugin import Evaluator

__all__ = ["first_points"]

# Largest sigma as a share of a period: at a quarter, two sigma to either side span the period.
_LARGEST_SHARE_OF_PERIOD = 0.25


def first_points(objective: Evaluator, x: Tensor, sigma: float, rng: np.random.Generator) -> tuple[Tensor, float]:
    """Return `x` and one point a sigma away along each parameter, and that sigma.

    The points are inside the bounds, and sigma is at most what bounds and periods leave.
    """
    n, shortest = objective.n, float(objective.periods.min())
    sigma = min(sigma, objective.sigma_limit, _LARGEST_SHARE_OF_PERIOD * shortest)
    away = sigma * torch.diag(torch.from_numpy(rng.choice([-1.0, 1.0], n)))
    outside = (objective.project(x + away) != x + away).any(1)
    points = torch.cat([x[None], objective.project(torch.where(outside[:, None], x - away, x + away))])
    return points, sigma
