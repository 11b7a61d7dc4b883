"""QuasiNewton: BFGS on differences of values, with a line search by values."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from attrs import field, frozen

from invopt.plugin import Status, integer, real

from .curvature import Curvature
from .differences import Differences, Gradient
from .space import EPS, Array, Search, SearchSpace, Visit, answered, reusing
from .value_search import ValueSearch

__all__ = ["Descended", "Descent", "QuasiNewton"]

# Sufficient decrease, as a share of what the slope promises: Nocedal and Wright, section 3.1.
_SUFFICIENT = 1e-4
# Trials of a line search, and those after which it no longer becomes longer: six factors of 4 to 10 are far.
_TRIALS, _LONGER_TRIALS = 12, 6
# Longest step as a multiple of the last one.
_LONGEST = 10.0
# The minimum of the parabola through the trials is tried if it is this much longer than the trial, or shorter; a step
# grows by at most the third (in the first line search _LONGEST), and shrinks to between the last two.
_WORTH_LONGER, _WORTH_SHORTER, _GROWTH, _LEAST_SHRINK, _MOST_SHRINK = 1.8, 0.6, 4.0, 0.1, 0.5
# The same in batches, where a gradient at the trial comes with it: a next iteration is as quick as another trial. Ten
# functions of five parameters (tests/benchmarks/values.py workers, seeds 1000 to 1002): with four workers 2.5 times as
# fast as without, with 1.8 2.4 times.
_WORTH_LONGER_IN_BATCHES = 3.0
# Shortest trial, relative to the size of x.
_SHORTEST = 1e-12
# Relative decrease below which an iteration is small, and the number of such iterations that end a descent.
_SMALL_DECREASE, _SMALL_ITERATIONS = 1e-9, 2
# Line searches without a lower point before a descent is given up.
_MOST_FAILURES = 20
# Iteration from which on central differences give the curvatures along the axes once.
_MEASURE_CURVATURE = 30
# Iterations after which a descent asks whether to give up: a separable function with few bends has been solved.
_ASK_AFTER = 4
# First step after a failed line search as a share of the one before.
_SHORTER = 0.1


class Descended(enum.Enum):
    """How a descent ended; its value says so in words."""

    FLAT = "the function is constant there"
    STATIONARY = "the gradient points out of the bounds"
    UNSEEN = "no difference is seen"
    SMALL = "the value no longer decreases"
    STUCK = "no lower point was found"


class _Line(NamedTuple):
    """End of a line search: share of the direction, 0 if no point is lower, and value."""

    t: float
    fun: float


class Descent:
    """Descent of a quasi-Newton method by values.

    Parameters
    ----------
    space : SearchSpace
        Where it searches.
    x : ndarray, shape (n,)
        Its start.
    fun : float
        The value there.
    step : float
        Length of the first step.
    differences : Differences
        How gradients are computed.
    central : bool, default False
        Use central differences from the start.
    thorough : bool, default False
        Repeat the last iterations with central differences before the descent counts as ended.
    batch : int, default 1
        Points that are evaluated at once. From 2 on, a line search asks for the gradient at its trial too, which is
        known then if the trial is accepted.
    gives_up : callable, optional
        ``gives_up()``: a search that is made after a few iterations, or when a line search first fails; if it returns
        True, the descent ends.
    """

    def __init__(
        self,
        space: SearchSpace,
        x: Array,
        fun: float,
        step: float,
        differences: Differences,
        *,
        central: bool = False,
        thorough: bool = False,
        batch: int = 1,
        gives_up: Callable[[], Search] | None = None,
    ) -> None:
        self._space = space
        self._x, self._fun, self._highest = x.copy(), fun, fun
        self._first = self._step = step
        self._differences = differences
        self._central, self._polish, self._thorough = central, central, thorough
        self._gives_up = gives_up
        self._batch = batch
        # Values that a line search has asked for beside its trials, by point.
        self._ahead: dict[bytes, float] = {}
        self._curvature = Curvature(np.ones(len(x)))
        self._bend = math.inf

    def run(self) -> Search:
        """Descend; returns a `Descended`."""
        jac = yield from self._gradient(self._central)
        if not jac.any():
            return Descended.FLAT
        failures = small = iterations = 0
        while True:
            free = self._free(jac)
            if not (jac * free).any():
                return Descended.UNSEEN if free.any() else Descended.STATIONARY
            fresh = not self._curvature.pairs
            direction = self._curvature.direction(jac, free)
            slope = float(jac @ direction)
            if not slope < 0:
                if fresh:
                    return Descended.STUCK
                self._curvature.pairs.clear()
                continue
            line = yield from self._search(direction, slope, fresh=fresh)
            if line.t == 0.0:
                failures += 1
                # Near a smooth minimum, a slope promises nothing, and failure is no kink.
                promised = -slope > _SMALL_DECREASE * max(abs(self._fun), self._highest - self._fun)
                if promised and (yield from self._is_given_up()):
                    return Descended.STUCK
                if self._curvature.pairs:
                    self._curvature.pairs.clear()
                    self._first = _SHORTER * min(self._step, self._first)
                elif not self._central:
                    self._central, self._first = True, _SHORTER * self._first
                    jac = yield from self._gradient(True)
                else:
                    return Descended.STUCK
                if failures > _MOST_FAILURES:
                    return Descended.STUCK
                continue
            failures, iterations = 0, iterations + 1
            if iterations == _ASK_AFTER and (yield from self._is_given_up()):
                return Descended.STUCK
            decrease = self._fun - line.fun
            least = max(_SMALL_DECREASE, self._differences.accuracy)
            small = small + 1 if decrease <= least * max(abs(line.fun), decrease) else 0
            before, earlier = self._x, jac
            self._x, self._fun = self._space.clip(before + line.t * direction), line.fun
            self._step = max(float(np.linalg.norm(self._x - before)), _SHORTEST)
            if small >= _SMALL_ITERATIONS:
                if self._central or not self._thorough:
                    self._space.report(Visit(self._x, self._fun))
                    return Descended.SMALL
                self._central, small = True, 0
            jac = yield from self._gradient(self._central or iterations == _MEASURE_CURVATURE)
            self._bend = self._curvature.add(self._x - before, jac - earlier)

    def _is_given_up(self) -> Search:
        """Ask once whether another method is better here."""
        ask, self._gives_up = self._gives_up, None
        return ask is not None and (yield from ask())

    def _free(self, jac: Array) -> Array:
        """Parameters that the gradient does not hold at a bound."""
        held = ((self._x <= self._space.low) & (jac > 0)) | ((self._x >= self._space.high) & (jac < 0))
        free: Array = (~held).astype(np.float64)
        return free

    def _gradient(self, central: bool) -> Search:
        """Gradient at the present point, which is reported."""
        x, fun = self._x, self._fun
        kind = self._differences.central if central else self._differences.forward
        found: Gradient = yield from answered(kind(x, fun), partial(reusing, known=self._ahead))
        if found.curvature is not None and not self._polish:
            self._curvature.learn_axes(found.curvature)
        self._space.report(Visit(x, fun, found.jac, self._differences.error(found, fun, self._bend)))
        return found.jac

    def _search(self, direction: Array, slope: float, *, fresh: bool) -> Search:
        """Line search by values that interpolates by parabolas; returns a `_Line`."""
        x, fun = self._x, self._fun
        length = float(np.linalg.norm(direction))
        t = self._first / length if fresh else min(1.0, _LONGEST * self._step / length)
        best = _Line(0.0, fun)
        worth_longer = _WORTH_LONGER if self._batch == 1 else _WORTH_LONGER_IN_BATCHES
        shortest = _SHORTEST * (self._differences.scale + float(np.abs(x).max()))
        for k in range(_TRIALS):
            value = yield from self._tried(self._space.clip(x + t * direction))
            bend = 2 * (value - fun - slope * t)
            minimum = -slope * t * t / bend if bend > 0 else math.inf
            if value < best.fun and value <= fun + _SUFFICIENT * t * slope:
                again = best.t > 0
                best = _Line(t, value)
                if minimum > worth_longer * t and (fresh or k == 0) and k < _LONGER_TRIALS:
                    t = min(minimum, (_LONGEST if fresh else _GROWTH) * t)
                    continue
                if again or minimum > _WORTH_SHORTER * t or k:
                    break
                t = minimum
                continue
            if best.t > 0:
                break
            t = float(np.clip(minimum, _LEAST_SHRINK * t, _MOST_SHRINK * t))
            if t * length < shortest:
                break
        return best

    def _tried(self, x: Array) -> Search:
        """Value of a trial; with a batch, also those of the gradient there."""
        if self._batch == 1:
            return float((yield x[None])[0])
        beside = self._differences.points(x, central=self._central)[: self._batch - 1]
        points = np.concatenate([x[None], beside])
        values = yield points
        self._ahead = {point.tobytes(): float(value) for point, value in zip(points, values, strict=True)}
        return float(values[0])


@frozen(kw_only=True)
class QuasiNewton(ValueSearch):
    """Limited-memory BFGS on differences of values, with a line search by values.

    For functions that are smooth, with no noise or little. Gradients are forward differences; central ones where these
    fail. The n values of a gradient are evaluated together, in workers if there are any. Two iterations that hardly
    lower the value end it.

    Parameters
    ----------
    step_length : float, default 1
        Length of the first step, in units of `x_scale`, > 0.
    batch : int, default 1
        Points that are evaluated at once, as the number of workers. From 2 on, a line search asks for the gradient at
        its trial too: more evaluations, of which fewer wait for others.
    accuracy : float, default 0
        Relative accuracy of the values: their noise over their change within `step_length`, in [0, 1); 0 means machine
        precision. `Portfolio` measures it.

    See Also
    --------
    Portfolio : measures noise first, and goes on where this method ends.

    References
    ----------
    .. [1] Shi, Xuan, Oztoprak, Nocedal, "On the numerical performance of finite-difference-based methods for
       derivative-free optimization", Optim. Methods Softw. 38(2), 2023.

    Examples
    --------
    >>> import invopt
    >>> res = invopt.minimize(lambda x: ((x - 1) ** 2).sum(), x0=[3.0, 2.0], method="quasi-newton")
    >>> bool(abs(res.x - 1).max() < 1e-5)
    True
    """

    step_length: float = field(default=1.0, validator=real(above=0))
    accuracy: float = field(default=0.0, validator=real(minimum=0, below=1))
    batch: int = field(default=1, validator=integer(1))

    def search(self, space: SearchSpace) -> Search:
        """Descend once; a point without a lower one nearby is no success."""
        differences = Differences(space, max(self.accuracy, EPS), self.step_length)
        descent = Descent(space, space.x, space.fun, self.step_length, differences, thorough=True, batch=self.batch)
        ended = yield from descent.run()
        space.found.append(ended.value)
        return _STATUS[ended]


_STATUS = {
    Descended.FLAT: Status.PLATEAU,
    Descended.STATIONARY: Status.FINISHED,
    Descended.UNSEEN: Status.FINISHED,
    Descended.SMALL: Status.FINISHED,
    Descended.STUCK: Status.LINE_SEARCH,
}
