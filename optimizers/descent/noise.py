"""Noise level of a function's values, and difference intervals for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Differences", "Noise", "central_differences", "difference_intervals", "noise_level"]

_EPS = torch.finfo(torch.float64).eps
# Differences of orders up to 6 from 7 values, as Moré and Wild recommend.
_POINTS = 7
# First spacing, in units of `x_scale`, its factor from one table to the next, and the number of tables: spacings from
# 1e-12, thousands of roundings at |x| = 1, to 1e4 are reached.
_FIRST_SPACING, _SPACING_FACTOR, _SPACINGS = 1e-4, 100.0, 5
# Levels of three successive orders agree if they are within this factor (Moré and Wild, algorithm ECnoise).
_SAME_LEVEL = 4.0
# Bounds of the ratio test and factor of the interval in Shi et al., algorithm 2.1.
_RATIO_LOW, _RATIO_HIGH, _INTERVAL_FACTOR = 1.5, 6.0, 3.0
# Most trial intervals: 3^20 spans 9 decades from the first one.
_RATIO_TRIALS = 20
# Range of the first interval, and the longest one, in units of `x_scale`: derivatives are local.
_SHORTEST_FIRST, _LONGEST_FIRST, _LONGEST = 1e-6, 0.1, 1.0
# Share of the longer side of a central difference below which the shorter side, cut by a bound, is not used. The
# standard error of the cut stencil is 4.4 / h at a quarter and 5.8 / h at a fifth, that of the one-sided one 5.1 / h.
_CRAMPED = 0.25

Values = Callable[[Tensor], Tensor]
Projection = Callable[[Tensor], Tensor]


class Noise(NamedTuple):
    """Standard deviation of the noise in f, and the interval of each parameter."""

    level: float
    intervals: Tensor


def noise_level(fun: Values, x: Tensor, direction: Tensor, project: Projection) -> float:
    """Estimate the standard deviation of the noise in `fun` by ECnoise [1]_.

    The noise is that around `x`.

    Parameters
    ----------
    fun : callable
        Values of shape (k,) at rows of shape (k, n).
    x : Tensor, shape (n,)
        Point.
    direction : Tensor, shape (n,)
        Unit vector along which 7 equally spaced points are evaluated, with up to 5 different spacings.
    project : callable
        Projection into the bounds. Near a bound the points move inside, because its kink would look like noise.

    Returns
    -------
    float
        At least the rounding of the values; exactly that if the difference table shows no noise level.

    Notes
    -----
    The original rejects a spacing over which f changes by more than a tenth. Near a minimum of 0, where noise
    dominates, that would reject every spacing, so here a spacing is rejected only if the table shows no level.

    References
    ----------
    .. [1] Moré, Wild, "Estimating Computational Noise", SIAM J. Sci. Comput. 33(3), 2011.
    """
    spacing = _FIRST_SPACING
    half = _POINTS // 2
    offsets = torch.arange(_POINTS, dtype=x.dtype) - half
    least = 0.0
    for _ in range(_SPACINGS):
        values = fun(_inside(x, spacing * half * direction, project, offsets[:, None] / half))
        if not bool(torch.isfinite(values).all()):
            spacing /= _SPACING_FACTOR
            continue
        least = _EPS * float(values.abs().max())
        level, verdict = _difference_table(values)
        if verdict == 0:
            return max(level, least)
        spacing *= _SPACING_FACTOR**verdict
    return max(least, torch.finfo(torch.float64).tiny)


def _difference_table(values: Tensor) -> tuple[float, int]:
    """Noise level and 0, or 0 and how the spacing is wrong.

    The second number is then 1 if the spacing is too small, -1 if it is too large.
    """
    row, gamma = values, 1.0
    levels, alternates = [], []
    for order in range(1, _POINTS):
        row = row[1:] - row[:-1]
        if order == 1 and int((row == 0).sum()) >= _POINTS / 2:
            return 0.0, 1
        gamma *= 0.5 * order / (2 * order - 1)  # (k!)^2 / (2k)!
        levels.append((gamma * float(row.square().mean())) ** 0.5)
        alternates.append(bool(row.min() < 0 < row.max()))
    for k in range(len(levels) - 2):
        near = levels[k : k + 3]
        if alternates[k] and max(near) <= _SAME_LEVEL * min(near):
            return levels[k], 0
    return 0.0, -1


def difference_intervals(fun: Values, x: Tensor, level: float, project: Projection) -> Tensor:
    r"""Choose the central-difference interval of each parameter.

    The choice is by the ratio test of [1]_.

    An interval h is accepted if :math:`|f(x + 3h) - 3 f(x + h) + 3 f(x - h) - f(x - 3h)| / (8 \epsilon_f)`, which is
    :math:`h^3 |f'''| / \epsilon_f`, lies in [1.5, 6]: truncation error and noise are then balanced.
    Each trial costs 4 values for each parameter whose interval is not found yet. The longest interval is 1, in units of
    `x_scale`.

    Parameters
    ----------
    fun : callable
        Values of shape (k,) at rows of shape (k, n).
    x : Tensor, shape (n,)
        Point.
    level : float
        Standard deviation of the noise, > 0.
    project : callable
        Projection into the bounds; near a bound, the stencil is moved inside.

    Returns
    -------
    Tensor, shape (n,)

    References
    ----------
    .. [1] Shi, Xie, Xuan, Nocedal, "Adaptive Finite-Difference Interval Estimation for Noisy Derivative-Free
       Optimization", SIAM J. Sci. Comput. 44(4), 2022.
    """
    n = x.numel()
    h = torch.full((n,), min(max(level ** (1 / 3), _SHORTEST_FIRST), _LONGEST_FIRST), dtype=x.dtype)
    low, high = torch.zeros_like(h), torch.full_like(h, torch.inf)
    searched = torch.arange(n)
    for _ in range(_RATIO_TRIALS):
        ratio = _ratio(fun, x, h, searched, level, project)
        short, long = ratio < _RATIO_LOW, ~(ratio <= _RATIO_HIGH)
        low[searched[short]], high[searched[long]] = h[searched[short]], h[searched[long]]
        searched = searched[(short & (h[searched] < _LONGEST)) | long]
        if searched.numel() == 0:
            break
        a, b = low[searched], high[searched]
        middle = torch.where(a == 0, b / _INTERVAL_FACTOR, torch.sqrt(a * b))
        h[searched] = torch.where(b == torch.inf, a * _INTERVAL_FACTOR, middle).clamp(max=_LONGEST)
    return h


def _ratio(fun: Values, x: Tensor, h: Tensor, which: Tensor, level: float, project: Projection) -> Tensor:
    k = which.numel()
    unit = torch.zeros((k, x.numel()), dtype=x.dtype)
    unit[torch.arange(k), which] = 1.0
    reach = 3 * h[which, None] * unit
    values = fun(torch.cat([_inside(x, reach, project, c / 3) for c in (3, 1, -1, -3)])).view(4, k)
    return (values[0] - 3 * values[1] + 3 * values[2] - values[3]).abs() / (8 * level)


def _inside(x: Tensor, reach: Tensor, project: Projection, share: Tensor | float) -> Tensor:
    """Points at shares -1 to 1 between the ends of ``x -+ reach``, cut by the bounds."""
    upper, lower = project(x + reach), project(x - reach)
    return 0.5 * (upper + lower) + share * (0.5 * (upper - lower))


class Differences(NamedTuple):
    """Gradient by differences, its standard errors, and the stencil with its values."""

    jac: Tensor
    standard_error: Tensor
    points: Tensor
    values: Tensor


def central_differences(fun: Values, x: Tensor, value: float, noise: Noise, project: Projection) -> Differences:
    """Estimate the gradient by differences of second order from 2n values.

    Parameters
    ----------
    fun : callable
        Values of shape (k,) at rows of shape (k, n).
    x : Tensor, shape (n,)
        Point.
    value : float
        Value at `x`; used only next to a bound, where the differences are one-sided.
    noise : Noise
        Noise level and intervals.
    project : callable
        Projection into the bounds.
    """
    h, n = noise.intervals, x.numel()
    above, below = project(x + h) - x, x - project(x - h)
    most = torch.maximum(above, below)
    cramped = torch.minimum(above, below) < _CRAMPED * most
    side = torch.where(above >= below, most, -most)
    a, b = torch.where(cramped, side, above), torch.where(cramped, 0.5 * side, -below)
    points = torch.cat([x + torch.diag(a), x + torch.diag(b)])
    values = fun(points)
    # Slope at 0 of the parabola through (0, f), (a, f_a), (b, f_b); the central difference where b = -a.
    to_a, to_b = b / (a * (b - a)), -a / (b * (b - a))
    jac = to_a * (values[:n] - value) + to_b * (values[n:] - value)
    weight = to_a.square() + to_b.square() + (to_a + to_b).square()
    # The values of the stencil may be larger, and their rounding with them, than those the noise was measured on.
    level = max(noise.level, _EPS * float(values.abs().nan_to_num(posinf=0.0).max()))
    return Differences(jac, level * weight.sqrt(), points, values)
