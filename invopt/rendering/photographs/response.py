"""Response curves of cameras: from light to the numbers of a file."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from invopt.core.formatting import shown
from invopt.core.validators import as_real, has_masked, require

__all__ = ["SRGB", "UNKNOWN", "Gamma", "Linear", "Response", "Table", "as_response"]

Array = NDArray[np.float64]

UNKNOWN = "unknown"
# Light at which a response that is a function is sampled: 24 octaves below and 14 above white, 16 samples an octave.
_DARKEST, _BRIGHTEST, _SAMPLES = -24.0, 14.0, 16 * 38 + 1
# Number of samples of a table, at least, for which a curve is more than a guess.
_FEWEST_SAMPLES = 2
# Largest gamma; those of cameras and screens are between 1 and 3.
_LARGEST_GAMMA = 10.0


@frozen
class Response(abc.ABC):
    """How a camera turns light into the numbers of a file, which are in [0, 1]."""

    @abc.abstractmethod
    def decoded(self, numbers: Array) -> Array:
        """Light of these numbers."""


@frozen
class Linear(Response):
    """Numbers that are the light itself."""

    def decoded(self, numbers: Array) -> Array:
        """The numbers."""
        return numbers


@frozen
class SRGB(Response):
    """The curve of sRGB (IEC 61966-2-1)."""

    def decoded(self, numbers: Array) -> Array:
        """Light, 1 for the number 1."""
        return np.where(numbers <= 0.04045, numbers / 12.92, ((np.maximum(numbers, 0) + 0.055) / 1.055) ** 2.4)


@frozen
class Gamma(Response):
    """Numbers that are light to the power of 1 / gamma."""

    gamma: float

    def decoded(self, numbers: Array) -> Array:
        """Light, 1 for the number 1."""
        found: Array = np.maximum(numbers, 0.0) ** self.gamma
        return found


@frozen(eq=False)
class Table(Response):
    """Curve through pairs of light and number, linear between them."""

    light: Array = field()
    numbers: Array = field()

    def decoded(self, numbers: Array) -> Array:
        """Light; that of the nearest pair outside the table."""
        found: Array = np.interp(numbers, self.numbers, self.light)
        return found


def as_response(value: Any) -> Response | str:
    """Return the response that `value` names, is, or computes.

    The word "auto" is sRGB for integers and linear for floats; "unknown" is fitted.
    """
    if isinstance(value, Response):
        return value
    if isinstance(value, str):
        named: dict[str, Response | str] = {"srgb": SRGB(), "linear": Linear(), "auto": "auto", UNKNOWN: UNKNOWN}
        require("response", value in named, f"one of {', '.join(named)}, a gamma, a table or a function", value)
        return named[value]
    if callable(value) and not isinstance(value, type):
        return _sampled(value)
    if np.ndim(value) == 0:
        gamma = as_real("response", value)
        require("response", 0 < gamma <= _LARGEST_GAMMA, f"a gamma in (0, {_LARGEST_GAMMA:g}]", value)
        return Gamma(gamma)
    return _tabulated(value)


def _sampled(function: Callable[[Array], Any]) -> Table:
    light = np.concatenate([[0.0], np.logspace(_DARKEST, _BRIGHTEST, _SAMPLES, base=2.0)])
    found = function(light.copy())
    if has_masked(found) or np.shape(found) != light.shape or np.asarray(found).dtype.kind not in "iuf":
        raise ValueError(f"'response' must return one number for each of {light.size} of an array: {shown(found)}")
    return _table(light, np.asarray(found, dtype=np.float64), function)


def _tabulated(value: Any) -> Table:
    try:
        pairs = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            f"'response' must be a name, a gamma, a table of numbers or a function: {shown(value)}"
        ) from None
    if pairs.ndim == 1:
        pairs = np.stack([np.linspace(0.0, 1.0, pairs.size), pairs], axis=1)
    fits = pairs.ndim == 2 and pairs.shape[1] == 2 and len(pairs) >= _FEWEST_SAMPLES
    require("response", fits, "a table of shape (k,), for light from 0 to 1, or (k, 2), of light and number", value)
    return _table(pairs[:, 0], pairs[:, 1], value)


def _table(light: Array, numbers: Array, value: Any) -> Table:
    require("response", bool(np.isfinite([light, numbers]).all()), "finite", value)
    require("response", bool((np.diff(light) > 0).all()), "a table in ascending order of light", value)
    require("response", bool((np.diff(numbers) >= 0).all()) and numbers[-1] > numbers[0], "monotone: ascending", value)
    # The first light of each number: from there on the file shows no difference.
    kept = np.concatenate([[True], np.diff(numbers) > 0])
    return Table(light[kept], numbers[kept])
