"""PyCMA: the CMA-ES of the package cma."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from attrs import field, frozen

from invopt.plugin import real

from .search import Array, Search

__all__ = ["PyCMA"]


@frozen(kw_only=True)
class PyCMA(Search):
    """Covariance matrix adaptation evolution strategy of the package ``cma``.

    It runs with the defaults of the package.

    Parameters
    ----------
    sigma0 : float, default 1
        First standard deviation, in units of `x_scale`, > 0: about a quarter of the distance to the optimum.

    Raises
    ------
    ModuleNotFoundError
        If ``cma`` is not installed; the extra ``bench`` contains it.

    Notes
    -----
    The package does not support one dimension: a single parameter gets a second one without effect.

    See Also
    --------
    invopt.optimizers.CMAES : a strategy of our own, with a quadratic regression.

    References
    ----------
    .. [1] Hansen, Ostermeier, "Completely Derandomized Self-Adaptation in Evolution Strategies", Evolutionary
       Computation 9(2), 2001.
    """

    sigma0: float = field(default=1.0, validator=real(above=0))

    def __attrs_post_init__(self) -> None:
        if importlib.util.find_spec("cma") is None:
            raise ModuleNotFoundError("PyCMA needs the package 'cma': pip install 'invopt[bench]'")

    def search(self, fun: Callable[[Array], float], x0: Array, low: Array, high: Array, seed: int) -> Array:
        """Search until one of the package's own criteria is met."""
        import cma

        n, rng = x0.size, np.random.default_rng(seed)
        pad = max(2 - n, 0)
        options: dict[str, Any] = {
            # The package would seed all of numpy.
            "seed": math.nan,
            "randn": lambda *shape: rng.standard_normal(shape),
            "bounds": [_limits(low, pad), _limits(high, pad)],
            "verbose": -9,
            "verb_log": 0,
        }
        strategy = cma.CMAEvolutionStrategy(np.append(x0, np.zeros(pad)), self.sigma0, options)
        while not strategy.stop():
            points = strategy.ask()
            strategy.tell(points, [fun(point[:n]) for point in points])
        best: Array = np.asarray(strategy.result.xbest)[:n]
        return best


def _limits(limit: Array, pad: int) -> list[float | None] | None:
    """Bounds in the format of the package: None for an infinite one."""
    if not np.isfinite(limit).any():
        return None
    return [value if math.isfinite(value) else None for value in limit.tolist()] + [None] * pad
