"""Portfolio: measures a black box, then uses the search that is for its kind."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from attrs import field, frozen

from invopt.plugin import Status, integer, real

from .adaptation import default_population
from .cmaes import Evolution, Evolved
from .coordinate_search import descend_by_axes, is_separable
from .differences import Differences
from .probe import FLAT, measure_noise
from .quasi_newton import Descended, Descent
from .space import EPS, Array, Search, SearchSpace, Visit, answered, limited, remembering, reusing
from .value_search import ValueSearch

__all__ = ["Portfolio"]

# Relative noise above which differences are not worth their evaluations, and above which no polish is.
_ROUGH, _NO_POLISH = 0.1, 1e-5
# Distance over which a smooth function changes, in units of `x_scale`. Of BBOB f6 and f8 to f14 with 2, 3 and 5
# parameters (instances 1 to 3) 0.5 reaches a share of .755 of the targets, 1 one of .734, 0.2 one of .743.
_DIFFERENCE_SCALE = 0.5
# Evaluations reserved for the polish: for so many central gradients, or this share of the budget, and at most that one.
_POLISH_GRADIENTS, _POLISH_SHARE, _MOST_FOR_POLISH = 8, 0.1, 0.25
# Descents, each after a measurement.
_MOST_DESCENTS = 3
# First step of a polish, in units of the first step.
_POLISH_STEP = 0.01
# Least number of generations that are worth beginning.
_LEAST_GENERATIONS = 4
# Evaluations without any change after which a function counts as constant: these, and some for each parameter. Until
# then the distribution has grown by more than a thousand.
_MANY, _MANY_EACH = 100, 10
# Least change that noise is compared with.
_LEAST_OF_STEP = 1e-300


@frozen(kw_only=True)
class Portfolio(ValueSearch):
    """Default for values only: measures first, then changes where a method fails.

    A few evaluations, which all serve the search, tell noise, resolution and flatness. Where the function is smooth
    enough, a quasi-Newton descent on differences follows, whose lengths fit the noise. Where that ends, or where the
    function has noise or steps, axes are searched one by one if the parameters are separate; otherwise an evolution
    strategy with a quadratic regression goes on from the best point. Last, a descent with central differences polishes.
    ``res.choice`` says what was measured and what worked.

    It ends by the tolerances of the run: at a small gradient, where a descent or an evolution no longer finds a lower
    value, at the noise, with error bars, or where the function is constant. With ``gtol=0`` and ``xtol=0`` it restarts
    with twice as many points until the budget is spent.

    Parameters
    ----------
    step_length : float, default 1
        Length of the first step and first standard deviation, in units of `x_scale`, > 0.
    batch : int, default 1
        Points that are evaluated at once. From 2 on, line searches ask for gradients that they may not need, and
        generations are multiples of it: more evaluations, of which fewer wait for others. ``minimize(..., workers=k)``
        chooses k for it, if it chooses this method.

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
    batch: int = field(default=1, validator=integer(1))

    def search(self, space: SearchSpace) -> Search:
        """Measure, descend, evolve, polish, until the budget is spent."""
        return (yield from _Run(space, self.step_length, self.batch).run())


class _Run:
    """One run of the portfolio."""

    def __init__(self, space: SearchSpace, step: float, batch: int) -> None:
        self._space, self._step, self._batch = space, step, batch
        self._accuracy, self._scale, self._noise = EPS, _DIFFERENCE_SCALE, 0.0
        self._rough = self._noisy = False
        self._separate: bool | None = None
        # Without tolerances, the budget alone ends a run.
        self._ends = space.xtol > 0

    def run(self) -> Search:
        """Measure, descend, search along the axes, evolve; returns the status."""
        for part in (self._descend, self._by_axes, self._evolve):
            status = yield from part()
            if status is not Status.RUNNING:
                return status
        return Status.FINISHED

    def _descend(self) -> Search:
        """Measure, and descend by differences where the function is smooth enough.

        Where a gradient is exactly zero, no difference is seen: it is measured again, because the resolution may be
        coarser there.
        """
        space = self._space
        for _ in range(_MOST_DESCENTS):
            known: dict[bytes, float] = {}
            x, fun = space.x, space.fun
            ahead = self._differences().points(x, central=False) if self._batch > 1 else np.empty((0, space.n))
            yield from answered(self._probe(x, fun), partial(remembering, known=known, ahead=[ahead]))
            if self._rough:
                return Status.RUNNING
            descent = Descent(
                space,
                x,
                fun,
                self._step,
                self._differences(),
                thorough=self._ends,
                batch=self._batch,
                gives_up=self._are_separate,
            )
            ended = yield from answered(descent.run(), partial(reusing, known=known))
            space.found.append(f"quasi-Newton: {ended.value}")
            if ended is not Descended.UNSEEN:
                break
        self._rough = ended is Descended.FLAT
        done = self._ends and self._noise == 0.0 and ended in (Descended.SMALL, Descended.STATIONARY)
        return Status.FINISHED if done else Status.RUNNING

    def _by_axes(self) -> Search:
        """Search along the axes if parameters are separate."""
        space = self._space
        if not (yield from self._are_separate()):
            return Status.RUNNING
        before = space.fun
        ended = yield from limited(
            descend_by_axes(space, self._step, self._mixed), space, space.remaining() - self._reserve
        )
        space.found.append(f"separate parameters, searched one by one: {_said(space.fun < before)}")
        return Status.FINISHED if self._ends and ended is not None else Status.RUNNING

    def _are_separate(self) -> Search:
        """Return whether there are separate parameters, as measured once."""
        if self._separate is None:
            self._separate = self._space.n > 1 and not self._noisy
            self._separate = self._separate and (yield from is_separable(self._space, self._step, self._mixed))
        return self._separate

    @property
    def _mixed(self) -> float:
        """Relative accuracy of sums of values of a function with little noise."""
        return self._accuracy if self._accuracy < _NO_POLISH else 0.0

    def _evolve(self) -> Search:
        """Evolve and polish in turn."""
        space, population = self._space, self._multiple(default_population(self._space.n))
        done = self._unpolished
        while True:
            left = space.remaining() - (0 if done else self._reserve)
            ended = None
            if left > _LEAST_GENERATIONS * population or done:
                before = space.fun
                evolution = Evolution(space, space.x, self._step, population)
                search = evolution.run(noisy=self._noisy and self._ends)
                space.found.append(f"CMA-ES of {population} points")
                if space.is_constant:
                    ended = yield from limited(search, space, _MANY + _MANY_EACH * space.n - space.nfev)
                    if space.is_constant:
                        return Status.PLATEAU if space.succeeded > 0 else Status.NONFINITE
                else:
                    ended = yield from limited(search, space, math.inf if done else left)
                words = "" if ended is None else f", {ended.value}"
                space.found[-1] += f": {_said(space.fun < before)}{words}"
                if ended is Evolved.NOISE:
                    answer = evolution.answer()
                    if answer is not None:
                        space.report(answer)
                        return Status.NOISE_FLOOR
                population *= 2
            improved = False
            if not done:
                improved = yield from self._polish()
                done = not improved
            else:
                done = self._unpolished
            if self._ends and ended in (Evolved.NARROW, Evolved.SETTLED) and not improved:
                space.report(Visit(space.x, space.fun))
                return Status.FINISHED

    def _multiple(self, population: int) -> int:
        """The next multiple of the batch."""
        return -(-population // self._batch) * self._batch

    def _polish(self) -> Search:
        """Descend with central differences; returns whether that helped."""
        space, before = self._space, self._space.fun
        descent = Descent(
            space, space.x, before, _POLISH_STEP * self._step, self._differences(), central=True, batch=self._batch
        )
        yield from descent.run()
        return space.fun < before

    @property
    def _reserve(self) -> int:
        """Evaluations reserved for the polish."""
        space = self._space
        total = space.nfev + space.remaining()
        if self._unpolished or total == math.inf:
            return 0
        return int(min(max(_POLISH_GRADIENTS * (2 * space.n + 1), _POLISH_SHARE * total), _MOST_FOR_POLISH * total))

    @property
    def _unpolished(self) -> bool:
        """Whether noise or steps leave nothing to polish."""
        return self._rough or self._accuracy > _NO_POLISH

    def _differences(self) -> Differences:
        return Differences(self._space, self._accuracy, self._scale)

    def _probe(self, x: Array, fun: float) -> Search:
        """Measure noise and resolution at a point."""
        space, step, rng = self._space, self._step, self._space.rng
        length = float(Differences(space, EPS, self._scale).lengths(x, central=False)[0])
        noise = self._noise = yield from measure_noise(space, x, fun, step, abs(length))
        if noise == FLAT:
            self._rough = True
            space.found.append("constant nearby")
        elif noise > 0:
            away = rng.standard_normal(space.n)
            away *= step / np.linalg.norm(away)
            (value,) = yield space.clip(x + away)[None]
            self._accuracy = max(EPS, noise / max(abs(float(value) - fun), _LEAST_OF_STEP))
            self._rough, self._scale = self._accuracy > _ROUGH, step
            if self._accuracy > _NO_POLISH:
                (again,) = yield x[None]
                self._noisy = float(again) != fun
            kind = "noise" if self._noisy else "resolution"
            space.found.append(f"{kind} {noise:.1g}, {self._accuracy:.1g} of the change over a step")
        else:
            space.found.append("smooth")


def _said(lower: bool) -> str:
    return "lower" if lower else "not lower"
