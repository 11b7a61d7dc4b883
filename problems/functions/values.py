"""What a user's function returns, checked and turned into an array."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from invopt.exceptions import WrongValueError
from invopt.plugin import has_masked, plain

__all__ = ["as_values"]

Shape = tuple[int | None, ...]


def as_values(value: Any, shape: Shape, name: str = "fun") -> NDArray[np.float64]:
    """Numbers of a shape, of which None stands for any length but 0."""
    if has_masked(value):
        raise WrongValueError(
            f"'{name}' returned masked elements, whose values mean nothing: fill them, or leave the same ones out at "
            f"every point"
        )
    if hasattr(value, "toarray"):
        value = value.toarray()
    if name == "fun" and isinstance(value, tuple) and len(value) == 2 and np.ndim(value[0]) == 0 < np.ndim(value[1]):
        raise WrongValueError("'fun' must return real numbers, got a pair: where it is (f, gradient), give jac=True")
    array = _as_array(value, name)
    # One number in an array of one element is what many functions return; it is not ambiguous.
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
        # What is too large for a float is inf.
        return array.astype(np.float64)


def _as_array(value: Any, name: str) -> NDArray[Any]:
    try:
        return np.asarray(plain(value))
    except (TypeError, ValueError, RuntimeError) as error:
        raise WrongValueError(f"'{name}' must return real numbers, got {type(value).__name__}: {error}") from None


def _hint(array: NDArray[Any], shape: Shape, name: str) -> str:
    """The other kind of objective, where that is what was returned."""
    if name != "fun" or array.dtype.kind not in "biuf":
        return ""
    if None not in shape and array.ndim == len(shape) + 1:
        return "; for a vector of residuals: problems.Function(fun=..., x0=..., residuals=True)"
    if None in shape and array.ndim == len(shape) - 1:
        return "; for one value a point leave out residuals=True"
    return ""
