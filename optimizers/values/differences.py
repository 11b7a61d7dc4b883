"""Gradients by differences of values that are as wide as their noise asks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from .space import EPS, WORST, Array, Search, SearchSpace

__all__ = ["Differences", "Gradient"]


class Gradient(NamedTuple):
    """Gradient by differences.

    Attributes
    ----------
    jac : ndarray, shape (n,)
        The gradient.
    curvature : ndarray, shape (n,), or None
        Second differences along the axes, of central differences.
    lengths : ndarray, shape (n,)
        Lengths of the differences.
    """

    jac: Array
    curvature: Array | None
    lengths: Array


@frozen(eq=False)
class Differences:
    r"""Forward and central differences.

    Parameters
    ----------
    space : SearchSpace
        Bounds.
    accuracy : float
        Relative accuracy of the values, at least machine precision: their noise over their change within `scale`.
        Forward differences have the length :math:`\sqrt{\epsilon}`, central ones :math:`\epsilon^{1/3}`, times the
        larger of \|x\| and `scale` [1]_.
    scale : float
        Distance over which values change.

    References
    ----------
    .. [1] Nocedal, Wright, "Numerical Optimization", 2006, section 8.1.
    """

    space: SearchSpace
    accuracy: float
    scale: float

    def lengths(self, x: Array, *, central: bool) -> Array:
        """Lengths of the differences at `x`, towards the inside of the box."""
        relative = self.accuracy ** (1 / 3) if central else self.accuracy**0.5
        lengths = relative * np.maximum(np.abs(x), self.scale)
        lengths = np.where(x + lengths <= self.space.high, lengths, -lengths)
        # The difference of the points, as they are rounded.
        rounded: Array = (x + lengths) - x
        return rounded

    def points(self, x: Array, *, central: bool) -> Array:
        """Points that `forward` or `central` asks for at `x`."""
        lengths = np.diag(self.lengths(x, central=central))
        if not central:
            return np.asarray(x + lengths)
        behind = x - lengths
        return np.concatenate([x + lengths, behind[self._inside(behind)]])

    def _inside(self, points: Array) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = np.all((points >= self.space.low) & (points <= self.space.high), axis=1)
        return inside

    def forward(self, x: Array, fun: float) -> Search:
        """Gradient from n values; returns a `Gradient`."""
        lengths = self.lengths(x, central=False)
        values = yield x + np.diag(lengths)
        failed = values >= WORST
        if failed.any():
            # On the other side of a wall.
            lengths = np.where(failed, -lengths, lengths)
            values[failed] = yield self.space.clip(x + np.diag(lengths))[failed]
        jac = np.where(values < WORST, (values - fun) / lengths, 0.0)
        return Gradient(jac, None, lengths)

    def central(self, x: Array, fun: float) -> Search:
        """Gradient and curvatures from 2 n values; returns a `Gradient`.

        One-sided where a bound or a failed evaluation leaves one side only.
        """
        lengths = self.lengths(x, central=True)
        ahead, behind = x + np.diag(lengths), x - np.diag(lengths)
        inside = self._inside(behind)
        values = yield np.concatenate([ahead, behind[inside]])
        first, second = values[: len(x)], np.full(len(x), WORST)
        second[inside] = values[len(x) :]
        seen_first, seen_second = first < WORST, second < WORST
        jac = np.where(seen_first, (first - fun) / lengths, np.where(seen_second, (fun - second) / lengths, 0.0))
        both = seen_first & seen_second
        jac = np.where(both, (first - second) / (2 * lengths), jac)
        curvature = np.where(both, np.abs(first + second - 2 * fun) / lengths**2, 0.0)
        return Gradient(jac, curvature, lengths)

    def error(self, gradient: Gradient, fun: float, bend: float) -> Array:
        """Error of a gradient: rounding of the values, and their curvature.

        Parameters
        ----------
        gradient : Gradient
        fun : float
            Value where the gradient was computed.
        bend : float
            Curvature of the function; inf if unknown.
        """
        rounding = 2 * EPS * abs(fun) / np.abs(gradient.lengths)
        truncation = 0.5 * bend * np.abs(gradient.lengths)
        if gradient.curvature is not None:
            # The third derivative is unknown: as if the curvature changed by all of itself over the scale.
            # One-sided ones, without a curvature, are forward differences.
            closer = np.where(gradient.curvature > 0, np.abs(gradient.lengths) / self.scale, 1.0)
            truncation = truncation * closer
        found: Array = rounding + truncation
        return found
