"""Exposure: what is done to a render before it is compared with a photograph."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from invopt.rendering.losses.arrays import above, at_least, log

__all__ = ["Exposure", "Factors", "Fitted"]

Array = NDArray[np.float64]
Residuals = Callable[[Array], Array]

# Share of a factor by which it is changed to differentiate residuals: with double precision the difference has then
# half of all digits.
_STEP = 1e-6
# Gauss-Newton iterations at most, and the relative change of a factor that ends them. Without saturation the residuals
# are linear and the first one is exact.
_MOST_ITERATIONS, _TOLERANCE = 30, 1e-9
# Halvings of a step that does not descend.
_MOST_HALVINGS = 12
# Smallest factor, as a share of the one before: factors stay positive.
_LEAST_SHARE = 0.1


@frozen(eq=False)
class Fitted:
    """Exposure that fits one render best.

    Attributes
    ----------
    coefficients : ndarray
        What `Exposure.exposed` takes.
    values : ndarray, shape (u,)
        The unknown factors.
    standard_error : ndarray, shape (u,)
        Their standard errors for this render, from the spread of the residuals.
    """

    coefficients: Array
    values: Array
    standard_error: Array


class Exposure(abc.ABC):
    """What is done to a render before it is compared."""

    @property
    @abc.abstractmethod
    def names(self) -> tuple[str, ...]:
        """Names of the unknown factors."""

    @property
    @abc.abstractmethod
    def is_fitted(self) -> bool:
        """Whether it depends on the render."""

    @abc.abstractmethod
    def exposed(self, image: Any, coefficients: Any, as_array: Callable[[Array], Any]) -> Any:
        """Expose a picture of numpy or Dr.Jit.

        Parameters
        ----------
        image : array, shape (h, w, c)
            Linear picture.
        coefficients : ndarray
            Those of `fit` or `known`.
        as_array : callable
            Turns an array of numpy into one of the picture's library.
        """

    @abc.abstractmethod
    def saturated(self, exposed: Array) -> Array:
        """An exposed picture as the photograph shows it, for the eye."""

    @abc.abstractmethod
    def known(self, channels: int) -> Array:
        """Coefficients where nothing is fitted."""

    @abc.abstractmethod
    def fit(self, image: Array, picture: Array, scales: Array, residuals: Residuals) -> Fitted:
        """Least-squares values of what is unknown.

        Parameters
        ----------
        image : ndarray, shape (h, w, c)
            Linear picture.
        picture : ndarray, shape (h, w, c)
            The target.
        scales : ndarray, shape (h, w, 1)
            Factors of the differences.
        residuals : callable
            ``residuals(exposed) -> (m,)`` of an exposed picture.
        """


@frozen(eq=False)
class Factors(Exposure):
    """A factor for each channel, and saturation.

    Parameters
    ----------
    factors : tuple of float, default (1, 1, 1)
        Known factor of each channel.
    unknown : mapping of str to tuple of int, default {}
        Unknown factors by name: the channels that each multiplies.
    ceiling : float, optional
        Value at which a pixel of the photograph saturates.
    """

    factors: tuple[float, ...] = (1.0, 1.0, 1.0)
    unknown: Mapping[str, tuple[int, ...]] = field(factory=dict)
    ceiling: float | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the unknown factors."""
        return tuple(self.unknown)

    @property
    def is_fitted(self) -> bool:
        """Whether a factor is unknown."""
        return bool(self.unknown)

    def exposed(self, image: Any, coefficients: Any, as_array: Callable[[Array], Any]) -> Any:
        """Multiply the channels, and compress what is above saturation.

        There light counts by its logarithm and not at all, as in the photograph: a start that is far too bright would
        be on a plateau, and the noise of a render that is nearly saturated would make it darker.
        """
        found = image if (coefficients == 1.0).all() else image * as_array(coefficients[None, None])
        if self.ceiling is None:
            return found
        bright = self.ceiling * (1.0 + log(at_least(found, self.ceiling) * (1.0 / self.ceiling)))
        return above(found, self.ceiling, bright, found)

    def saturated(self, exposed: Array) -> Array:
        """Cut off what is above saturation."""
        return exposed if self.ceiling is None else np.minimum(exposed, self.ceiling)

    def known(self, channels: int) -> Array:
        """Factors of the channels; unknown ones are 1."""
        return self._factors(channels, np.ones(len(self.unknown)))

    def fit(self, image: Array, picture: Array, scales: Array, residuals: Residuals) -> Fitted:
        """Least-squares factors, by Gauss-Newton from the ratio of the mean roots."""
        channels = image.shape[2]

        def of(values: Array) -> Array:
            return residuals(self.exposed(image, self._factors(channels, values), np.asarray))

        seen, own = (float((scales * np.sqrt(np.maximum(each, 0.0))).sum()) for each in (picture, image))
        values = np.full(len(self.unknown), (seen / own) ** 2 if seen > 0 and own > 0 else 1.0)
        current = of(values)
        for _ in range(_MOST_ITERATIONS if own > 0 else 0):
            step: Array = np.linalg.lstsq(_jacobian(of, values, current), -current, rcond=None)[0].astype(np.float64)
            values, current, moved = _descend(of, values, current, step)
            if moved <= _TOLERANCE:
                break
        return Fitted(self._factors(channels, values), values, _errors(_jacobian(of, values, current), current))

    def _factors(self, channels: int, values: Array) -> Array:
        found = np.array(self.factors[:channels], dtype=np.float64)
        for value, group in zip(values, self.unknown.values(), strict=True):
            found[list(group)] *= value
        return found


def _jacobian(of: Residuals, values: Array, current: Array) -> Array:
    columns = []
    for number, value in enumerate(values):
        other = values.copy()
        other[number] = value * (1 + _STEP)
        columns.append((of(other) - current) / (value * _STEP))
    return np.stack(columns, axis=1)


def _descend(of: Residuals, values: Array, current: Array, step: Array) -> tuple[Array, Array, float]:
    """Point below the current one along a step; with the relative length of the move."""
    square, share = float(current @ current), 1.0
    for _ in range(_MOST_HALVINGS):
        other = np.maximum(values + share * step, _LEAST_SHARE * values)
        found = of(other)
        if float(found @ found) <= square:
            return other, found, float(np.max(np.abs(other / values - 1)))
        share /= 2
    return values, current, 0.0


def _errors(jacobian: Array, residuals: Array) -> Array:
    counted = max(int(np.count_nonzero(residuals)) - jacobian.shape[1], 1)
    covariance = np.linalg.pinv(jacobian.T @ jacobian) * float(residuals @ residuals) / counted
    found: Array = np.sqrt(np.diag(covariance))
    return found
