"""DifferentialEvolution: scipy's differential evolution."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.optimize
from attrs import field, frozen

from invopt.plugin import integer, real

from .external.search import Array, Search

__all__ = ["DifferentialEvolution"]


# Generations: the budget of the run ends it first.
_UNLIMITED = 1_000_000


@frozen(kw_only=True)
class DifferentialEvolution(Search):
    """`scipy.optimize.differential_evolution`, without its final polish.

    It evolves a population in a box.

    Parameters
    ----------
    popsize : int, default 15
        Members of the population for each parameter, >= 1; scipy's default.
    width : float, default 4
        Half the side of the box around the start, in units of `x_scale`, > 0, for parameters without bounds.

    Notes
    -----
    The population has ``popsize * n`` members: with hundreds of parameters a budget may not suffice for the first one.

    References
    ----------
    .. [1] Storn, Price, "Differential Evolution", J. Global Optim. 11, 1997.
    """

    popsize: int = field(default=15, validator=integer(1, 10**6))
    width: float = field(default=4.0, validator=real(above=0))

    def search(self, fun: Callable[[Array], float], x0: Array, low: Array, high: Array, seed: int) -> Array:
        """Search the box; the start is one of its members."""
        box = scipy.optimize.Bounds(
            np.where(np.isfinite(low), low, x0 - self.width), np.where(np.isfinite(high), high, x0 + self.width)
        )
        found = scipy.optimize.differential_evolution(
            fun, box, x0=x0, popsize=self.popsize, polish=False, maxiter=_UNLIMITED, rng=np.random.default_rng(seed)
        )
        answer: Array = found.x
        return answer
