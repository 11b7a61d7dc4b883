"""Line searches that allow for noise: Armijo backtracking and Armijo-Wolfe bracketing."""

from __future__ import annotations

import abc
import math
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch
from attrs import field, frozen
from torch import Tensor

from invopt.exceptions import NonFiniteError
from invopt.plugin import Estimate, Oracle, integer, real, require, shown

from .descent.steps import gradient

if TYPE_CHECKING:
    from attrs import Attribute

__all__ = ["Armijo", "ArmijoWolfe", "EstimatedLine", "Line", "LineSearch", "Trial", "check_search"]

_EPS = torch.finfo(torch.float64).eps


class Trial(NamedTuple):
    """What was found at a step length: change of f, the change its slope promised, and what noise may add."""

    change: float
    expected: float
    noise: float


class Line(Protocol):
    """Objective along a direction, by step length."""

    slope: float

    def trial(self, t: float) -> Trial:
        """Value at `t`, relative to 0."""

    def derivative(self, t: float) -> float:
        """Slope at `t`, at the upper end of its uncertainty."""


class EstimatedLine:
    """Line through `x`, projected into the bounds, with slopes from the run's estimator.

    Where nothing is smoothed, values are asked of the oracle: within a step all share one seed, so that their
    difference is free of the noise they share, and the estimator's own `fun` may be a mean over its stencil. Where
    something is smoothed, the smoothed value is what descends, so values are the estimates' `fun`, and two standard
    errors of their difference are allowed for.

    Parameters
    ----------
    x, direction : Tensor, shape (n,)
        The line.
    jac : Tensor, shape (n,)
        Gradient at `x` without what pushes against active bounds.
    estimate : Estimate
        Estimate at `x`.
    oracle : Oracle
        Where evaluations are spent.
    """

    def __init__(self, x: Tensor, direction: Tensor, jac: Tensor, estimate: Estimate, oracle: Oracle) -> None:
        self._x, self._direction, self._jac = x, direction, jac
        self._estimate, self._oracle = estimate, oracle
        self._value: float | None = estimate.fun if estimate.sigma > 0 else None
        self._there: dict[float, Estimate] = {}
        self.slope = float(torch.dot(jac, direction))

    def along(self, direction: Tensor) -> EstimatedLine:
        """Another line through the same point, without asking for its value again."""
        line = EstimatedLine(self._x, direction, self._jac, self._estimate, self._oracle)
        line._value = self._value
        return line

    def point(self, t: float) -> Tensor:
        """Point at `t`, inside the bounds."""
        return self._oracle.project(self._x + t * self._direction)

    def trial(self, t: float) -> Trial:
        """Value at `t`, relative to 0."""
        point, base = self.point(t), self._estimate
        expected = float(torch.dot(self._jac, point - self._x))
        if base.sigma > 0:
            there = self._estimate_at(t)
            if there is None:
                return Trial(math.inf, expected, 0.0)
            noise = 2 * math.hypot(base.fun_standard_error, there.fun_standard_error)
            return Trial(there.fun - base.fun, expected, noise)
        if self._value is None:
            self._value = self._oracle.value(self._x)
        noise = 2 * math.sqrt(2) * base.fun_standard_error + 4 * _EPS * abs(self._value)
        return Trial(self._oracle.value(point) - self._value, expected, noise)

    def derivative(self, t: float) -> float:
        """Slope at `t` plus two standard errors; only what bounds leave of the direction counts."""
        there = self._estimate_at(t)
        if there is None:
            return math.inf
        straight = self._x + t * self._direction
        direction = torch.where(self.point(t) == straight, self._direction, 0.0)
        slope = float(torch.dot(gradient(there), direction))
        if there.standard_error is None:
            return slope
        return slope + 2 * float(torch.linalg.vector_norm(there.standard_error * direction))

    def _estimate_at(self, t: float) -> Estimate | None:
        """Estimate at `t`, asked for once; None where too much of it is not finite."""
        if t not in self._there:
            try:
                self._there[t] = self._oracle.estimate(self.point(t))
            except NonFiniteError:
                return None
        return self._there[t]


@frozen(kw_only=True)
class LineSearch(abc.ABC):
    """Configuration of a line search.

    Parameters
    ----------
    c1 : float, default 1e-4
        Share of the promised decrease that is enough, in (0, 1/2).
    maxls : int, default 20
        Most trials, >= 1.
    """

    c1: float = field(default=1e-4, validator=real(above=0, below=0.5))
    maxls: int = field(default=20, validator=integer(1))

    @abc.abstractmethod
    def search(self, line: Line, limit: float) -> float | None:
        """Step length, at most `limit`, tried first at 1; None if no trial was low enough."""

    def _low_enough(self, trial: Trial) -> bool:
        # A projected path may leave nothing of the direction: that must not pass for a step.
        return trial.expected < 0 and trial.change <= self.c1 * trial.expected + trial.noise


def check_search(_: Any, attribute: Attribute[Any], value: Any) -> None:
    """Field must be a line search."""
    if not isinstance(value, LineSearch):
        raise TypeError(f"'{attribute.name}' must be a LineSearch, such as Armijo(): {shown(value)}")


@frozen(kw_only=True)
class Armijo(LineSearch):
    """Backtracking until ``f(x + t d) <= f(x) + c1 t g'd + noise`` [1]_, by quadratic interpolation.

    Costs one value a trial (an estimate where values are smoothed) and no gradient: half the price of `ArmijoWolfe`
    with a finite-difference estimator, for methods that do without the curvature condition.

    Parameters
    ----------
    c1 : float, default 1e-4
        Share of the promised decrease that is enough, in (0, 1/2).
    maxls : int, default 20
        Most trials, >= 1.

    References
    ----------
    .. [1] Nocedal, Wright, "Numerical Optimization", 2nd ed., 2006, algorithm 3.1 and sec. 3.5.
    """

    def search(self, line: Line, limit: float) -> float | None:
        """Step length, at most `limit`, tried first at 1; None if no trial was low enough."""
        t = min(1.0, limit)
        for _ in range(self.maxls):
            trial = line.trial(t)
            if self._low_enough(trial):
                return t
            t = _interpolate(0.0, 0.0, line.slope, t, trial.change)
        return None


@frozen(kw_only=True)
class ArmijoWolfe(LineSearch):
    """Bracketing until Armijo's condition and the weak Wolfe condition ``g(x + t d)'d >= c2 g'd`` both hold [1]_.

    scipy's `line_search` knows neither noise nor bounds and warns where it fails; this one relaxes both conditions by
    what noise may add and follows the projected path. Trials between two ends come from quadratic interpolation,
    beyond the last from the secant of the slopes.

    Parameters
    ----------
    c1 : float, default 1e-4
        Share of the promised decrease that is enough, in (0, 1/2).
    maxls : int, default 20
        Most trials, >= 1. When they are spent, a step that met Armijo's condition alone is taken.
    c2 : float, default 0.9
        Share of the slope that may be left, in (c1, 1).

    References
    ----------
    .. [1] Lewis, Overton, "Nonsmooth optimization via quasi-Newton methods", Math. Program. 141, 2013, algorithm 2.6.
    """

    c2: float = field(default=0.9, validator=real(above=0, below=1))

    def __attrs_post_init__(self) -> None:
        require("c2", self.c2 > self.c1, f"> c1 = {self.c1:g}", self.c2)

    def search(self, line: Line, limit: float) -> float | None:
        """Step length, at most `limit`, tried first at 1; None if no trial was low enough."""
        low, change, slope, high = 0.0, 0.0, line.slope, math.inf
        t = min(1.0, limit)
        for _ in range(self.maxls):
            trial = line.trial(t)
            if not self._low_enough(trial):
                high = t
                t = _interpolate(low, change, slope, high, trial.change)
                continue
            there = line.derivative(t)
            if there >= self.c2 * line.slope or t >= limit:
                return t
            beyond = _secant(low, slope, t, there)
            low, change, slope = t, trial.change, there
            t = 0.5 * (low + high) if high < math.inf else min(beyond, limit)
        return low if low > 0 else None


def _interpolate(low: float, change: float, slope: float, high: float, high_change: float) -> float:
    """Minimum of the parabola with a value and slope at `low` and a value at `high`, kept off both ends."""
    width = high - low
    bend = high_change - change - slope * width
    share = -0.5 * slope * width / bend if 0 < bend < math.inf else 0.1 if bend == math.inf else 0.5
    return low + width * min(max(share, 0.1), 0.5)


def _secant(low: float, slope: float, t: float, there: float) -> float:
    """Where the line through two slopes crosses 0, between twice and ten times `t`."""
    rise = there - slope
    zero = t - there * (t - low) / rise if rise > 0 else math.inf
    return min(max(zero, 2 * t), 10 * t)
