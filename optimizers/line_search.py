"""Line searches that allow for noise.

They are Armijo backtracking and Armijo-Wolfe bracketing.
"""

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
# Roundings of a value that a difference of two may contain: two of each.
_ROUNDINGS = 4
# Standard errors of a value or slope that a condition is relaxed by; by chance, 1 in 20 is beyond.
_NOISE_ERRORS = 2
# Interpolated steps are kept within these shares of the bracket, and extrapolated ones within these multiples of the
# last step: safeguards against steps too close to an end (Nocedal and Wright, sec. 3.5).
_LEAST_SHARE, _MOST_SHARE, _LEAST_GROWTH, _MOST_GROWTH = 0.1, 0.5, 2, 10


class Trial(NamedTuple):
    """Change of f at a step length, predicted change, and allowance for noise."""

    change: float
    expected: float
    noise: float


class Line(Protocol):
    """Objective along a direction, as a function of the step length."""

    slope: float

    def trial(self, t: float) -> Trial:
        """Value at `t`, relative to 0."""

    def derivative(self, t: float) -> float:
        """Slope at `t`, at the upper end of its confidence interval."""


class EstimatedLine:
    """Line through `x`, projected into the bounds.

    Its slopes are from the run's estimator. If nothing is smoothed, values come from the oracle: within a step all
    share one seed, so that shared noise cancels in their difference, and the estimator's own `fun` may be a mean over
    its stencil. If something is smoothed, the smoothed value is minimised, so that values are the estimates' `fun`,
    with an allowance for two standard errors of their difference.

    Parameters
    ----------
    x, direction : Tensor, shape (n,)
        The line.
    jac : Tensor, shape (n,)
        Gradient at `x` without components that push against active bounds.
    estimate : Estimate
        Estimate at `x`.
    oracle : Oracle
        Evaluates.
    """

    def __init__(self, x: Tensor, direction: Tensor, jac: Tensor, estimate: Estimate, oracle: Oracle) -> None:
        self._x, self._direction, self._jac = x, direction, jac
        self._estimate, self._oracle = estimate, oracle
        self._value: float | None = estimate.fun if estimate.sigma > 0 else None
        self._there: dict[float, Estimate] = {}
        self.slope = float(torch.dot(jac, direction))

    def along(self, direction: Tensor) -> EstimatedLine:
        """Another line through the same point, without evaluating it again."""
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
            noise = _NOISE_ERRORS * math.hypot(base.fun_standard_error, there.fun_standard_error)
            return Trial(there.fun - base.fun, expected, noise)
        if self._value is None:
            self._value = self._oracle.value(self._x)
        noise = _NOISE_ERRORS * math.sqrt(2) * base.fun_standard_error + _ROUNDINGS * _EPS * abs(self._value)
        return Trial(self._oracle.value(point) - self._value, expected, noise)

    def derivative(self, t: float) -> float:
        """Slope at `t` plus two standard errors, along the direction inside the bounds."""
        there = self._estimate_at(t)
        if there is None:
            return math.inf
        straight = self._x + t * self._direction
        direction = torch.where(self.point(t) == straight, self._direction, 0.0)
        slope = float(torch.dot(gradient(there), direction))
        if there.standard_error is None:
            return slope
        return slope + _NOISE_ERRORS * float(torch.linalg.vector_norm(there.standard_error * direction))

    def _estimate_at(self, t: float) -> Estimate | None:
        """Estimate at `t`, evaluated once; None if too much of it is not finite."""
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
        Share of the predicted decrease that is sufficient, in (0, 1/2).
    maxls : int, default 20
        Largest number of trials, >= 1.
    """

    c1: float = field(default=1e-4, validator=real(above=0, below=0.5))
    maxls: int = field(default=20, validator=integer(1))

    @abc.abstractmethod
    def search(self, line: Line, limit: float) -> float | None:
        """Step length up to `limit`, starting with 1; None if no trial was low enough."""

    def _low_enough(self, trial: Trial) -> bool:
        # Projection can reduce the step to nothing, which must not count as a step.
        return trial.expected < 0 and trial.change <= self.c1 * trial.expected + trial.noise


def check_search(_: Any, attribute: Attribute[Any], value: Any) -> None:
    """Check that a field is a line search."""
    if not isinstance(value, LineSearch):
        raise TypeError(f"'{attribute.name}' must be a LineSearch, such as Armijo(): {shown(value)}")


@frozen(kw_only=True)
class Armijo(LineSearch):
    """Backtracking by quadratic interpolation until Armijo's condition holds [1]_.

    The condition is ``f(x + t d) <= f(x) + c1 t g'd + noise``. Costs one value a trial (an estimate if values are
    smoothed) and no gradient: half as much as `ArmijoWolfe` with a finite-difference estimator. For methods that do not
    need the curvature condition.

    Parameters
    ----------
    c1 : float, default 1e-4
        Share of the predicted decrease that is sufficient, in (0, 1/2); 1e-4 as in [1]_, sec. 3.1.
    maxls : int, default 20
        Largest number of trials, >= 1.

    References
    ----------
    .. [1] Nocedal, Wright, "Numerical Optimization", 2nd ed., 2006, algorithm 3.1 and sec. 3.5.
    """

    def search(self, line: Line, limit: float) -> float | None:
        """Step length up to `limit`, starting with 1; None if no trial was low enough."""
        t = min(1.0, limit)
        for _ in range(self.maxls):
            trial = line.trial(t)
            if self._low_enough(trial):
                return t
            t = _interpolate(0.0, 0.0, line.slope, t, trial.change)
        return None


@frozen(kw_only=True)
class ArmijoWolfe(LineSearch):
    """Bracketing until Armijo's and the weak Wolfe condition hold [1]_.

    The latter is ``g(x + t d)'d >= c2 g'd``. Both conditions are relaxed by an allowance for noise, and the search
    follows the projected path, which scipy's `line_search` does not. Trials inside a bracket come from quadratic
    interpolation, trials beyond the last one from the secant of the slopes.

    Parameters
    ----------
    c1 : float, default 1e-4
        Share of the predicted decrease that is sufficient, in (0, 1/2); 1e-4 as in [2]_, sec. 3.1.
    maxls : int, default 20
        Largest number of trials, >= 1. After the last one, a step that meets only Armijo's condition is taken.
    c2 : float, default 0.9
        Share of the slope that may remain, in (c1, 1); 0.9 as for quasi-Newton methods in [2]_, sec. 3.1.

    References
    ----------
    .. [1] Lewis, Overton, "Nonsmooth optimization via quasi-Newton methods", Math. Program. 141, 2013, algorithm 2.6.
    .. [2] Nocedal, Wright, "Numerical Optimization", 2nd ed., 2006.
    """

    c2: float = field(default=0.9, validator=real(above=0, below=1))

    def __attrs_post_init__(self) -> None:
        require("c2", self.c2 > self.c1, f"> c1 = {self.c1:g}", self.c2)

    def search(self, line: Line, limit: float) -> float | None:
        """Step length up to `limit`, starting with 1; None if no trial was low enough."""
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
    """Minimum of a parabola with value and slope at `low`, kept off both ends."""
    length = high - low
    bend = high_change - change - slope * length
    share = -0.5 * slope * length / bend if 0 < bend < math.inf else _LEAST_SHARE if bend == math.inf else _MOST_SHARE
    return low + length * min(max(share, _LEAST_SHARE), _MOST_SHARE)


def _secant(low: float, slope: float, t: float, there: float) -> float:
    """Zero of the line through two slopes, kept between twice and ten times `t`."""
    rise = there - slope
    zero = t - there * (t - low) / rise if rise > 0 else math.inf
    return min(max(zero, _LEAST_GROWTH * t), _MOST_GROWTH * t)
