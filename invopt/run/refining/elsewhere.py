"""Elsewhere: a point of another basin that the model finds likelier."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from invopt.core.evaluator import Evaluator
from invopt.core.model import Model

__all__ = ["elsewhere"]

Array = NDArray[np.float64]

# Random candidates for each parameter, up to so many parameters.
_CANDIDATES, _MOST_DIMENSIONS = 200, 5
# Distance from the best sample, in units of the model's unit, of another basin.
_ANOTHER = 1.0
# Stands for a bound where there is none.
_FAR = 1e300


def elsewhere(model: Model, evaluator: Evaluator, rng: np.random.Generator) -> Array | None:
    """Return the point of least surprise far from the best sample.

    In units of `x_scale`. None if the target would surprise the model more everywhere, or some parameter has neither a
    period nor two bounds.
    """
    best = model.points[model.best]
    ends = torch.full((2, evaluator.n), _FAR, dtype=torch.float64)
    ends[0] *= -1
    low, high = evaluator.project(ends).numpy()
    half = 0.5 * evaluator.periods.numpy()
    low, high = (np.where(np.isfinite(half), best + side * half, end) for side, end in ((-1, low), (1, high)))
    if (high - low >= _FAR).any():
        return None
    k = _CANDIDATES * min(evaluator.n, _MOST_DIMENSIONS)
    candidates = rng.uniform(low, high, (k, evaluator.n))
    candidates = candidates[model.distances(candidates, best) > _ANOTHER * model.unit]
    if not len(candidates):
        return None
    points = np.concatenate([best[None], candidates])
    surprises = model.surprise(points, model.coarse, model.misfit(model.best))
    found: Array = candidates[int(np.argmin(surprises[1:]))]
    return found if float(surprises[1:].min()) < float(surprises[0]) else None
