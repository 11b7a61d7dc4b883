"""Kernel of the emulator: Gaussian, periodic in angles, with an additive part."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

__all__ = ["Kernel", "Metric"]

Array = NDArray[np.float64]


@frozen(eq=False, slots=False)
class Metric:
    r"""Coordinate differences of points, in units of sigma.

    The difference of an angle is the chord :math:`p / \pi \sin(\pi d / p)`, so that the kernel is periodic and stays
    positive definite.

    Parameters
    ----------
    periods : ndarray, shape (n,)
        Period of each parameter; inf where it has none.
    """

    periods: Array

    @cached_property
    def linear(self) -> NDArray[np.intp]:
        """Numbers of the parameters without a period, which have a linear trend."""
        return np.flatnonzero(~np.isfinite(self.periods))

    @cached_property
    def _angles(self) -> list[int]:
        """Numbers of the parameters with a period."""
        found: list[int] = np.flatnonzero(np.isfinite(self.periods)).tolist()
        return found

    def squares(self, points: Array, others: Array) -> Array:
        """Squared differences of each coordinate, shape (n, k, l)."""
        d = points.T[:, :, None] - others.T[:, None, :]
        for i in self._angles:
            p = self.periods[i]
            d[i] = np.sin(np.pi * d[i] / p) * p / np.pi
        return np.square(d)

    def differences(self, point: Array, others: Array) -> tuple[Array, Array]:
        """Squared differences from one point, and half their slopes; shapes (n, l)."""
        d = point[:, None] - others.T
        if not self._angles:
            return d * d, d
        chords, slopes = d.copy(), d.copy()
        for i in self._angles:
            p = self.periods[i]
            chords[i] = np.sin(np.pi * d[i] / p) * p / np.pi
            slopes[i] = np.sin(2 * np.pi * d[i] / p) * p / (2 * np.pi)
        return np.square(chords), slopes


@frozen
class Kernel:
    r"""Correlation of the residuals at two points.

    :math:`(1 - \alpha) \exp(-|d|^2 / 2 l^2) + \frac{\alpha}{n} \sum_i \exp(-d_i^2 / 2 l^2)`. The second part is a sum
    of functions of one parameter each [1]_: samples on the axes then say something of all of space.

    Parameters
    ----------
    length : float
        Length l, in units of sigma.
    additive : float, default 0
        Share alpha of the additive part, in [0, 1).

    References
    ----------
    .. [1] Duvenaud, Nickisch, Rasmussen, "Additive Gaussian Processes", NeurIPS 2011.
    """

    length: float = field()
    additive: float = field(default=0.0)

    def __call__(self, squares: Array) -> Array:
        """Correlations for squared differences of shape (n, ...)."""
        scale = -0.5 / self.length**2
        whole: Array = np.exp(scale * squares.sum(0))
        if self.additive == 0.0:
            return whole
        whole = (1 - self.additive) * whole + self.additive * np.exp(scale * squares).mean(0)
        return whole

    def with_slopes(self, squares: Array, halves: Array) -> tuple[Array, Array]:
        """Correlations, shape (l,), and derivatives by the first point, shape (n, l).

        `halves` as in `Metric.differences`.
        """
        scale = 1 / self.length**2
        whole: Array = (1 - self.additive) * np.exp(-0.5 * scale * squares.sum(0))
        if self.additive == 0.0:
            return whole, -scale * whole * halves
        each = self.additive / len(squares) * np.exp(-0.5 * scale * squares)
        return whole + each.sum(0), -scale * (whole + each) * halves
