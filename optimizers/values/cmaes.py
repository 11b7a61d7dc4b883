"""CMAES: evolution strategy with a quadratic regression inside."""

from __future__ import annotations

import enum

import numpy as np
from attrs import field, frozen, validators

from invopt.plugin import Status, integer, real

from .adaptation import Adaptation, default_population
from .regression import fit_quadratic, least_for
from .space import WORST, Array, Search, SearchSpace, Visit
from .value_search import ValueSearch

__all__ = ["CMAES", "Evolution", "Evolved"]

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
# Standard errors by which the median values of generations must fall to be progress.
_STANDARD_ERRORS = 1.0
# Largest error of the minimum, in units of the region, at which it is known.
_LARGEST_ERROR = 0.5
# Regions of the fit at the end, in standard deviations of the distribution; largest residual deviation that the
# chosen one may leave, as a multiple of the smallest; evaluations for it, in those that a fit needs.
_WIDENED, _MOST_REST, _LEAST_FOR_ANSWER = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0), 1.14, 2


class Evolved(enum.Enum):
    """How an evolution ended; its value says so in words."""

    NARROW = "the distribution has become narrow"
    SETTLED = "the value no longer decreases"
    NOISE = "noise hides what could still decrease"


class Evolution:
    """CMA-ES in which one point a generation is the minimum of a quadratic regression.

    Parameters
    ----------
    space : SearchSpace
        Where it searches.
    mean : ndarray, shape (n,)
        First mean.
    sigma : float
        First standard deviation.
    population : int
        Points of a generation.
    """

    def __init__(self, space: SearchSpace, mean: Array, sigma: float, population: int) -> None:
        self._space, self._population = space, population
        self._adaptation = Adaptation(mean, sigma, population)
        self._points, self._values = np.empty((0, space.n)), np.empty(0)

    def run(self, *, noisy: bool = False) -> Search:
        """Evolve; returns an `Evolved`.

        If `noisy`, also end where noise hides all progress.
        """
        space, n, population, adaptation = self._space, self._space.n, self._population, self._adaptation
        patience = _SOME_GENERATIONS + _GENERATIONS_EACH * n // population
        best, typical = [], []
        while True:
            draws = space.rng.standard_normal((population, n))
            if n <= _MOST_FOR_REGRESSION and len(self._values) >= least_for(n):
                fitted = fit_quadratic(adaptation.whitened(self._points), self._values, population)
                if fitted is not None:
                    draws[0] = fitted.minimum(_TRUST * np.sqrt(n))
            generation = space.clip(adaptation.points(draws))
            found = yield generation
            if n <= _MOST_FOR_REGRESSION:
                good = found < WORST
                self._points = np.concatenate([self._points, generation[good]])[-_REMEMBERED:]
                self._values = np.concatenate([self._values, found[good]])[-_REMEMBERED:]
            adaptation.learn(generation, found)
            best.append(float(found.min()))
            typical.append(float(np.median(found)))
            longest = adaptation.longest
            if longest < max(_SHORTEST_AXIS, space.xtol) or longest > _LONGEST_AXIS:
                return Evolved.NARROW
            if len(best) > patience and np.ptp(best[-patience:]) <= _LEAST_RANGE * abs(best[-1]):
                return Evolved.SETTLED
            if noisy and len(typical) >= 2 * patience and _has_settled(np.array(typical[-2 * patience :])):
                return Evolved.NOISE

    def answer(self) -> Visit | None:
        """Minimum of a quadratic through the evaluations, with its error.

        None if noise hides it. The region of the fit is the largest in which a quadratic leaves hardly more than noise.
        """
        if len(self._values) < _LEAST_FOR_ANSWER * least_for(self._space.n):
            return None
        adaptation, fits = self._adaptation, []
        points = adaptation.whitened(self._points)
        for wider in _WIDENED:
            fitted = fit_quadratic(points / wider, self._values, len(self._values))
            if fitted is not None and float(np.linalg.eigvalsh(fitted.hess)[0]) > 0:
                fits.append((wider, fitted))
        if not fits:
            return None
        least = min(fitted.rest for _, fitted in fits)
        wider, fitted = [each for each in fits if each[1].rest <= _MOST_REST * least][-1]
        draw = wider * fitted.minimum(2 * np.sqrt(self._space.n))
        inverse = np.linalg.inv(fitted.hess)
        root = np.linalg.cholesky(inverse @ fitted.covariance @ inverse).T
        if not np.linalg.norm(root, axis=0).max() < _LARGEST_ERROR:
            return None
        root = adaptation.sigma * wider * adaptation.turned(root * adaptation.axes)
        x = self._space.clip(adaptation.points(draw[None])[0])
        return Visit(x, fitted.value(draw / wider), x_covariance=root.T @ root)


def _has_settled(typical: Array) -> bool:
    """Whether the second half of a series is not significantly below the first."""
    earlier, later = np.split(typical, 2)
    error = np.sqrt((earlier.var(ddof=1) + later.var(ddof=1)) / len(later))
    return bool(earlier.mean() - later.mean() <= _STANDARD_ERRORS * error)


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
        evolution = Evolution(space, space.x, self.sigma0, population)
        ended = yield from evolution.run()
        space.found.append(f"{population} points a generation: {ended.value}")
        space.report(Visit(space.x, space.fun))
        return Status.FINISHED
