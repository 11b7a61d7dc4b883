"""CMAES: evolution strategy with a quadratic regression inside."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import field, frozen, validators

from invopt.plugin import Status, integer, real

from .adaptation import Adaptation, default_population
from .regression import fit_quadratic, least_for
from .space import Array, Search, SearchSpace, Visit
from .value_search import ValueSearch

__all__ = ["CMAES", "evolve"]

# Most parameters with a regression: its (n + 1)(n + 2) / 2 coefficients cost n**6 a generation.
_MOST_FOR_REGRESSION = 20
# Evaluations that are remembered for it.
_REMEMBERED = 1000
# Trust radius of its minimum, in standard deviations times sqrt(n).
_TRUST = 1.0
# Longest axis at which a search has ended, in units of x, and the largest at which it has lost itself.
_SHORTEST_AXIS, _LONGEST_AXIS = 1e-11, 1e20
# Generations in which the best values differ by less than this share before a search has ended, as pycma's tolfunhist.
_LEAST_RANGE, _SOME_GENERATIONS, _GENERATIONS_EACH = 1e-12, 10, 30


def evolve(space: SearchSpace, mean: Array, sigma: float, population: int) -> Search:
    """CMA-ES in which one point a generation is the minimum of a quadratic regression.

    Parameters
    ----------
    space : SearchSpace
    mean : ndarray, shape (n,)
        First mean.
    sigma : float
        First standard deviation.
    population : int
        Points of a generation.
    """
    n, rng = space.n, space.rng
    adaptation, best = Adaptation(mean, sigma, population), []
    points, values = np.empty((0, n)), np.empty(0)
    patience = _SOME_GENERATIONS + _GENERATIONS_EACH * n // population
    regressed = n <= _MOST_FOR_REGRESSION
    while True:
        draws = rng.standard_normal((population, n))
        if regressed and len(values) >= least_for(n):
            fitted = fit_quadratic(adaptation.whitened(points), values, population)
            if fitted is not None:
                draws[0] = fitted.minimum(_TRUST * np.sqrt(n))
        generation = space.clip(adaptation.points(draws))
        found = yield generation
        if regressed:
            points = np.concatenate([points, generation])[-_REMEMBERED:]
            values = np.concatenate([values, found])[-_REMEMBERED:]
        adaptation.learn(generation, found)
        best.append(float(found.min()))
        longest = adaptation.longest
        settled = len(best) > patience and np.ptp(best[-patience:]) <= _LEAST_RANGE * abs(best[-1])
        if longest < max(_SHORTEST_AXIS, space.xtol) or longest > _LONGEST_AXIS or settled:
            return None


@frozen(kw_only=True)
class CMAES(ValueSearch):
    """CMA-ES with a quadratic regression through the nearest evaluations.

    For functions that are not smooth, have steps, noise or many minima. The points of a generation are evaluated
    together, in workers if there are any. Up to 20 parameters, one point of every generation is the minimum of a
    quadratic that is fitted to the evaluations nearest to the mean; beyond 100 parameters only variances along the axes
    are adapted.

    Parameters
    ----------
    sigma0 : float, default 1
        First standard deviation, in units of `x_scale`, > 0: about a quarter of the distance to the optimum.
    popsize : int, optional
        Points of a generation, >= 4; by default 4 + 3 log n.

    See Also
    --------
    PyCMA : the strategy of the package ``cma``.

    References
    ----------
    .. [1] Hansen, "The CMA Evolution Strategy: A Tutorial", arXiv:1604.00772, 2016.
    .. [2] Hansen, "A Global Surrogate Assisted CMA-ES", GECCO 2019.

    Examples
    --------
    >>> CMAES(sigma0=0.5).sigma0
    0.5
    """

    sigma0: float = field(default=1.0, validator=real(above=0))
    popsize: int | None = field(default=None, validator=validators.optional(integer(4)))

    def search(self, space: SearchSpace) -> Search:
        """Search until the distribution or its values have become narrow."""
        population = self.popsize or default_population(space.n)
        yield from evolve(space, space.x, self.sigma0, population)
        space.report(Visit(space.x, space.fun))
        return Status.FINISHED
