"""Portfolio: measures a black box, then uses the search that is for its kind."""

from __future__ import annotations

import math

import numpy as np
from attrs import field, frozen

from invopt.plugin import Status, real

from .adaptation import default_population
from .cmaes import evolve
from .differences import Differences
from .probe import FLAT, measure_noise
from .quasi_newton import Descended, Descent
from .space import EPS, Array, Search, SearchSpace, limited
from .value_search import ValueSearch

__all__ = ["Portfolio"]

# Relative noise above which differences are not worth their evaluations, and above which no polish is.
_ROUGH, _NO_POLISH = 0.1, 1e-5
# Evaluations reserved for the polish: for four central gradients, or this share of the budget.
_POLISH_GRADIENTS, _POLISH_SHARE = 8, 0.1
# First step of a polish, in units of the first step.
_POLISH_STEP = 0.01
# Least number of generations that are worth beginning.
_LEAST_GENERATIONS = 4


@frozen(kw_only=True)
class Portfolio(ValueSearch):
    """Default for values only: it measures first, and changes its method where one fails.

    A few evaluations, which all serve the search, tell noise, resolution and flatness. Where the function is smooth
    enough, a quasi-Newton descent on differences follows, whose lengths fit the noise. Where that ends, or where there
    is noise or there are steps, an evolution strategy with a quadratic regression goes on from the best point. Last, a
    descent with central differences polishes. ``res.choice`` says what was measured and what worked.

    Parameters
    ----------
    step_length : float, default 1
        Length of the first step and first standard deviation, in units of `x_scale`, > 0.

    See Also
    --------
    QuasiNewton, CMAES, CoordinateSearch : its parts.

    Examples
    --------
    >>> import invopt
    >>> res = invopt.minimize(lambda x: ((x - 1) ** 2).sum(), x0=[3.0, 2.0], method="portfolio", rng=0, maxfev=100)
    >>> bool(abs(res.x - 1).max() < 1e-5)
    True
    """

    step_length: float = field(default=1.0, validator=real(above=0))

    def search(self, space: SearchSpace) -> Search:
        """Measure, descend, evolve, polish, until the budget is spent."""
        return (yield from _Run(space, self.step_length).run())


class _Run:
    """One run of the portfolio."""

    def __init__(self, space: SearchSpace, step: float) -> None:
        self._space, self._step = space, step
        self._accuracy, self._scale, self._rough = EPS, 1.0, False

    def run(self) -> Search:
        space, step = self._space, self._step
        start, fun, known = space.x, space.fun, {}
        yield from _remembering(self._probe(), known)
        if not self._rough:
            descent = Descent(space, start, fun, step, self._differences(), thorough=space.xtol > 0)
            ended = yield from _reusing(descent.run(), known)
            space.found.append(f"quasi-Newton: {ended.value}")
            self._rough = ended is Descended.FLAT
            if space.xtol > 0 and ended in (Descended.SMALL, Descended.STATIONARY):
                return Status.FINISHED
        done = self._rough or self._accuracy > _NO_POLISH
        population = default_population(space.n)
        while True:
            reserve = 0 if done else max(_POLISH_GRADIENTS * (2 * space.n + 1), int(_POLISH_SHARE * self._total()))
            left = space.remaining() - reserve
            if left > _LEAST_GENERATIONS * population or done:
                before = space.fun
                search = evolve(space, space.x, step, population)
                yield from limited(search, space, math.inf if done else left)
                space.found.append(f"CMA-ES with {population} points: {'lower' if space.fun < before else 'not lower'}")
                population *= 2
            if not done:
                before = space.fun
                differences = self._differences()
                polish = Descent(space, space.x, space.fun, _POLISH_STEP * step, differences, central=True)
                yield from polish.run()
                done = not space.fun < before
            elif not self._rough and self._accuracy < _NO_POLISH:
                done = False

    def _total(self) -> float:
        return min(self._space.nfev + self._space.remaining(), 1e9)

    def _differences(self) -> Differences:
        return Differences(self._space, self._accuracy, self._scale)

    def _probe(self) -> Search:
        space, step, rng = self._space, self._step, self._space.rng
        x, fun = space.x, space.fun
        length = float(Differences(space, EPS, self._scale).lengths(x, central=False)[0])
        noise = yield from measure_noise(space, step, abs(length))
        if noise == FLAT:
            self._rough = True
            space.found.append("constant near the start")
        elif noise > 0:
            away = rng.standard_normal(space.n)
            away *= step / np.linalg.norm(away)
            (value,) = yield space.clip(x + away)[None]
            self._accuracy = max(EPS, noise / max(abs(float(value) - fun), 1e-300))
            self._rough, self._scale = self._accuracy > _ROUGH, step
            space.found.append(f"noise or resolution {noise:.1g}, {self._accuracy:.1g} of the change over a step")
        else:
            space.found.append("smooth at the start")


def _remembering(search: Search, known: dict[bytes, float]) -> Search:
    """Remember the values of a search."""
    values = None
    while True:
        try:
            points = search.send(values)
        except StopIteration as end:
            return end.value
        values = yield points
        known |= {point.tobytes(): float(value) for point, value in zip(points, values, strict=True)}


def _reusing(search: Search, known: dict[bytes, float]) -> Search:
    """Answer points with known values."""
    values: Array | None = None
    while True:
        try:
            points = search.send(values)
        except StopIteration as end:
            return end.value
        values = np.array([known.get(point.tobytes(), math.nan) for point in points])
        new = np.isnan(values)
        if new.any():
            values[new] = yield points[new]
