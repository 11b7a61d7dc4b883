"""CoordinateSearch: one parameter after the other, for separable functions."""

from __future__ import annotations

import numpy as np
from attrs import define, field, frozen

from invopt.plugin import Status, real

from .space import WORST, Array, Search, SearchSpace, Visit
from .value_search import ValueSearch

__all__ = ["CoordinateSearch", "descend_by_axes", "is_separable"]

# Share of the larger part of a bracket at which golden section divides it.
_GOLDEN_SHARE = 0.381966
# Growth of steps towards a bracket, and their largest number.
_WIDER, _MOST_WIDER = 2.0, 40
# Width of a bracket, as a share of its first step, to which a sweep reduces it, and the most points for that. The next
# sweep goes on with the width as its step.
_NARROW, _MOST_POINTS = 0.03, 12
# Least distance of a new point from others, as a share of the bracket; share of a bracket from which its larger side
# is too large.
_APART, _UNEQUAL = 0.02, 0.8
# Values equal to the lowest after which it lies on a plateau.
_SAME = 2
# Step, in units of x, at which sweeps end, and the decrease, relative to the value, of one that does not count.
_LEAST_STEP, _SMALL_SWEEP = 1e-9, 1e-13
# Sweeps in a row without a decrease after which axes are sampled.
_IDLE_SWEEPS = 2
# Rounds in which each line is sampled on a grid: points of the first round, which doubles, reach in steps, and rounds.
_GRID, _REACH, _ROUNDS = 12, 6.0, 4
# Splits of the parameters in two that a separable function must pass.
SPLITS = 2
# Splits that are tried for each of these, where some change nothing, and the share of the changes up to which the mixed
# difference is rounding.
_MORE_SPLITS, _MIXED = 3, 1e-9


def is_separable(space: SearchSpace, step: float, noise: float, splits: int = SPLITS) -> Search:
    """Return whether the function looks like a sum of functions of one parameter each.

    The parameters are split at random in two, each half is moved, and then both: changes must add up.
    """
    n, rng = space.n, space.rng
    if n < 2:
        return True
    x, fun = space.x, space.fun
    passed = 0
    for _ in range(_MORE_SPLITS * splits):
        half = np.zeros(n)
        half[rng.permutation(n)[: n // 2]] = 1.0
        away = step * rng.standard_normal(n)
        rows = space.clip(x + np.array([away * half, away * (1 - half), away]))
        first, second, both = yield rows
        if max(first, second, both) >= WORST:
            return False
        changes = abs(first - fun) + abs(second - fun)
        if not abs(both - first - second + fun) <= _MIXED * (changes + abs(fun)) + 4 * noise:
            return False
        # On a step, no change says nothing.
        passed += first != fun and second != fun
        if passed == splits:
            return True
    return False


@define(eq=False)
class _Line:
    """Values along one axis, from a point; `t` is the distance."""

    space: SearchSpace
    x: Array
    axis: int
    best: tuple[float, float] = field(init=False, default=(0.0, WORST))

    def value(self, t: float) -> Search:
        """Value at a distance; outside of the bounds the worst."""
        x = self.x.copy()
        x[self.axis] += t
        if not self.space.low[self.axis] <= x[self.axis] <= self.space.high[self.axis]:
            return WORST
        value = float((yield x[None])[0])
        if value < self.best[1]:
            self.best = (t, value)
        return value


def _line_minimum(line: _Line, fun: float, step: float) -> Search:
    """Bracket a minimum along a line, then narrow it; returns the width."""
    ahead = yield from line.value(step)
    direction = 1.0
    if not ahead < fun:
        behind = yield from line.value(-step)
        if not behind < fun:
            return (yield from _narrowed(line, [(-step, behind), (0.0, fun), (step, ahead)]))
        direction, ahead = -1.0, behind
    before, now = (0.0, fun), (direction * step, ahead)
    for k in range(1, _MOST_WIDER):
        t = now[0] + direction * step * _WIDER**k
        value = yield from line.value(t)
        if not value < now[1]:
            return (yield from _narrowed(line, sorted([before, now, (t, value)])))
        before, now = now, (t, value)
    return abs(now[0] - before[0])


def _narrowed(line: _Line, bracket: list[tuple[float, float]]) -> Search:
    """Narrow a bracket by parabolas and golden section; returns its width."""
    low, middle, high = bracket
    least = _NARROW * (high[0] - low[0])
    same = 0
    for k in range(_MOST_POINTS):
        # A plateau at the minimum has no better point.
        if high[0] - low[0] <= least or same == _SAME:
            break
        t = _next_point(low, middle, high, turn=k)
        found = t, (yield from line.value(t))
        same += found[1] == middle[1]
        if found[1] < middle[1]:
            low, middle, high = (middle, found, high) if t > middle[0] else (low, found, middle)
        elif t > middle[0]:
            high = found
        else:
            low = found
    return high[0] - low[0]


def _next_point(low: tuple[float, float], middle: tuple[float, float], high: tuple[float, float], turn: int) -> float:
    """Minimum of the parabola through a bracket, or golden section of its larger side.

    Golden section is for plateaus and walls, where there is no parabola, and for every other turn of a bracket whose
    sides are unequal. A parabola's minimum in the middle is approached from the larger side.
    """
    width, t = high[0] - low[0], middle[0]
    left, right = t - low[0], high[0] - t
    fall, rise = (low[1] - middle[1]) / left, (high[1] - middle[1]) / right
    larger, side = max(left, right), 1.0 if right > left else -1.0
    curved = 0 < fall + rise < WORST / width
    if not curved or (larger > _UNEQUAL * width and turn % 2 == 1):
        return t + side * _GOLDEN_SHARE * larger
    found = t + 0.5 * (fall * right - rise * left) / (fall + rise)
    if abs(found - t) < _APART * width:
        return t + side * _NARROW * larger
    if min(found - low[0], high[0] - found) < _APART * width:
        return t + side * _GOLDEN_SHARE * larger
    return found


def sweep(space: SearchSpace, steps: Array) -> Search:
    """Minimise along each axis in turn from the best point.

    `steps` are changed in place.
    """
    for axis in space.rng.permutation(space.n):
        line = _Line(space, space.x.copy(), int(axis))
        width = yield from _line_minimum(line, space.fun, float(steps[axis]))
        steps[axis] = max(0.5 * width, _LEAST_STEP / 2)


def descend_by_axes(space: SearchSpace, step: float, noise: float | None = None) -> Search:
    """Sweep until the value no longer decreases, then sample lines on grids.

    With `noise`, it ends as soon as parameters are found not to be separate.
    """
    grid = _GRID
    for _ in range(1 + _ROUNDS):
        steps = np.full(space.n, step if grid == _GRID else 0.1 * step)
        idle = 0
        while float(steps.max()) > max(_LEAST_STEP, space.xtol) and idle < _IDLE_SWEEPS:
            if noise is not None and not (yield from is_separable(space, step, noise, splits=1)):
                return None
            before = space.fun
            yield from sweep(space, steps)
            idle = 0 if before - space.fun > _SMALL_SWEEP * abs(space.fun) else idle + 1
        before = space.fun
        yield from _sample_lines(space, step, grid)
        if space.xtol > 0 and not space.fun < before:
            break
        grid *= 2
    return True


def _sample_lines(space: SearchSpace, step: float, count: int) -> Search:
    """Evaluate each axis on a random grid around the best point."""
    for axis in space.rng.permutation(space.n):
        rows = np.repeat(space.x[None], count, 0)
        rows[:, axis] += _REACH * step * (2 * (np.arange(count) + space.rng.random()) / count - 1)
        yield space.clip(rows)


@frozen(kw_only=True)
class CoordinateSearch(ValueSearch):
    """Line searches along the axes, for functions of separate parameters.

    For functions that are sums of functions of one parameter each, with steps, kinks or many minima. Each axis is
    searched for a bracket, which parabolas and golden section narrow. Then axes are sampled on ever finer grids. On
    functions whose parameters interact, other methods need far fewer evaluations.

    Parameters
    ----------
    step_length : float, default 1
        First step along each axis, in units of `x_scale`, > 0.

    References
    ----------
    .. [1] Brent, "Algorithms for Minimization without Derivatives", 1973, chapter 5.

    Examples
    --------
    >>> CoordinateSearch()
    CoordinateSearch(step_length=1.0)
    """

    step_length: float = field(default=1.0, validator=real(above=0))

    def search(self, space: SearchSpace) -> Search:
        """Sweep and sample until neither finds a lower point."""
        before = space.fun
        yield from descend_by_axes(space, self.step_length)
        space.report(Visit(space.x, space.fun))
        return Status.FINISHED if space.fun < before else Status.LINE_SEARCH
