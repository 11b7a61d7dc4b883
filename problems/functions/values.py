"""Return values of a user's function, checked and converted to an array."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from invopt.exceptions import WrongValueError
from invopt.plugin import has_masked, plain

__all__ = ["as_values"]

Shape = tuple[int | None, ...]


def as_values(value: Any, shape: Shape, name: str = "fun") -> NDArray[np.float64]:
    """Return numbers of a shape, in which None means any length except 0."""
    if has_masked(value):
        raise WrongValueError(
            f"'{name}' returned masked elements, which have no value: fill them, or leave the same elements out at "
            f"every point"
        )
    if hasattr(value, "toarray"):
        value = value.toarray()
    if name == "fun" and isinstance(value, tuple) and len(value) == 2 and np.ndim(value[0]) == 0 < np.ndim(value[1]):
        raise WrongValueError("'fun' must return real numbers, got a pair: if it is (f, gradient), give jac=True")
    array = _as_array(value, name)
    # Many functions return one number as an array of one element, which is not ambiguous.
    if array.size == 1 and (shape == () or (name != "fun" and all(length == 1 for length in shape))):
        array = array.reshape((1,) * len(shape))
    fits = array.ndim == len(shape) and all(
        found == wanted or (wanted is None and found > 0) for found, wanted in zip(array.shape, shape, strict=True)
    )
    if array.dtype.kind not in "biuf" or not fits:
        wanted = ", ".join("m" if length is None else str(length) for length in shape) + "," * (len(shape) == 1)
        raise WrongValueError(
            f"'{name}' must return {'one real number' if shape == () else f'real numbers of shape ({wanted})'}, "
            f"got {type(value).__name__} of shape {array.shape}, dtype {array.dtype}{_hint(array, shape, name)}"
        )
    with np.errstate(over="ignore"):
        # A number too large for a float becomes inf.
        return array.astype(np.float64)


def _as_array(value: Any, name: str) -> NDArray[Any]:
    try:
        return np.asarray(plain(value))
    except (TypeError, ValueError, RuntimeError) as error:
        raise WrongValueError(f"'{name}' must return real numbers, got {type(value).__name__}: {error}") from None


def _hint(array: NDArray[Any], shape: Shape, name: str) -> str:
    """Return how to declare the other kind of objective, if it was returned."""
    if name != "fun" or array.dtype.kind not in "biuf":
        return ""
    if None not in shape and array.ndim == len(shape) + 1:
        return "; for a vector of residuals: problems.Function(fun=..., x0=..., residuals=True)"
    if None in shape and array.ndim == len(shape) - 1:
        return "; for one value per point leave out residuals=True"
    return ""
