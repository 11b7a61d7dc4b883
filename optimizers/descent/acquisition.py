"""Minimum of an acquisition function in a box around a point."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, minimize

__all__ = ["lowest_in_box"]

Array = NDArray[np.float64]

# Random candidates of each kind for each parameter, up to four; the lowest of them that are apart are descended from.
_CANDIDATES, _MOST_DIMENSIONS, _DESCENTS, _APART = 100, 4, 2, 0.1
# Iterations of L-BFGS-B from each, and values.
_ITERATIONS, _VALUES = 12, 20
# Decades of distance from the best sample that candidates near it span.
_DECADES = 3.5


def lowest_in_box(
    many: Callable[[Array], Array],
    one: Callable[[Array], tuple[float, Array]],
    centre: Array,
    low: Array,
    high: Array,
    radius: float,
    rng: np.random.Generator,
) -> Array:
    """Return the lowest point of a box.

    The lowest of random candidates that are apart are descended from.

    Parameters
    ----------
    many : callable
        ``many(x) -> (k,)`` for the rows of `x`.
    one : callable
        ``one(x) -> (value, slope)`` at one point.
    centre : ndarray, shape (n,)
        Around it candidates are dense.
    low, high : ndarray, shape (n,)
        The box.
    radius : float
        Half its width, where bounds do not cut it.
    rng : Generator
        Of the run.
    """
    candidates = _candidates(centre, low, high, radius, rng)
    order = np.argsort(many(candidates), kind="stable")

    def scaled(u: Array) -> tuple[float, Array]:
        value, slope = one(centre + radius * u)
        return value, slope * radius

    box = Bounds((low - centre) / radius, (high - centre) / radius)
    starts = [(start - centre) / radius for start in _apart(candidates, order, radius)]
    found = min((_descended(scaled, start, box) for start in starts), key=lambda each: float(each.fun))
    target: Array = np.clip(centre + radius * found.x, low, high) if math.isfinite(found.fun) else centre
    return target


def _candidates(centre: Array, low: Array, high: Array, radius: float, rng: np.random.Generator) -> Array:
    """Random points of a box: one beside its centre, some anywhere, some near it."""
    n = len(centre)
    k = _CANDIDATES * min(n, _MOST_DIMENSIONS)
    lengths = radius * 10 ** rng.uniform(-_DECADES, 0, (k, 1))
    near = centre + lengths * rng.uniform(-1, 1, (k, n))
    here = centre + 10**-_DECADES * radius * rng.standard_normal((1, n))
    found: Array = np.clip(np.vstack([here, low + (high - low) * rng.random((k, n)), near]), low, high)
    return found


def _apart(candidates: Array, order: NDArray[np.intp], radius: float) -> list[Array]:
    """Return the candidate beside the centre, and the lowest of those apart from it."""
    chosen = [candidates[0]]
    for i in order:
        if len(chosen) > _DESCENTS:
            break
        if all(np.linalg.norm(candidates[i] - other) >= _APART * radius for other in chosen[1:]):
            chosen.append(candidates[i])
    return chosen


def _descended(merit: Any, start: Array, box: Bounds) -> Any:
    """Few iterations of L-BFGS-B."""
    options: Any = {"maxiter": _ITERATIONS, "maxfun": _VALUES}
    return minimize(merit, start, jac=True, method="L-BFGS-B", bounds=box, options=options)
