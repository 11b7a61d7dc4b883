"""Validators for attrs fields.

Every message names the field, the rule and the value.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import attrs
import numpy as np
import torch
from attrs import Attribute
from numpy.typing import NDArray

from invopt.core.formatting import digits, shown
from invopt.exceptions import UnknownNameError, suggest

# Largest integer of 64 bits, to which all libraries can count.
LARGEST_INTEGER = 2**63 - 1
# Integers up to here are exact in a float, whose mantissa has 53 bits.
_LARGEST_EXACT = 2.0**53
# NumPy's arrays have at most 64 dimensions (NPY_MAXDIMS).
_MOST_DIMENSIONS = 64
# Items of a list that are read: an endless iterator ends there, at 32 MiB of pointers.
_MOST_ITEMS = 2**22
# Largest scale and largest inverse of one: products of two scales stay finite, below 1.8e308.
_LARGEST_SCALE = 1e100
# Types of torch that NumPy does not have.
_NOT_IN_NUMPY = (torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2)

T = TypeVar("T")
Validator = Callable[[Any, "Attribute[Any]", Any], None]


def require(name: str, condition: bool, rule: str, value: object) -> None:
    """Raise ``ValueError`` unless `condition` holds."""
    if not condition:
        raise ValueError(f"'{name}' must be {rule}: {shown(value)}")


def as_integer(name: str, value: object) -> int:
    """Return `value` as an int, also if it is 10.0 or 1e4.

    A bool, a fraction or anything else is a ``TypeError``.
    """
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"'{name}' must be an integer: {shown(value)}")
    return int(value)


def as_path(name: str, value: object) -> Path:
    """Return `value` as a path; anything but text and paths is a ``TypeError``."""
    if not isinstance(value, str | Path):
        raise TypeError(f"'{name}' must be a path: {shown(value)}")
    try:
        free = b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        free = False
    require(name, free, "a path without characters that no file name can have", str(value))
    return Path(value)


def as_flag(name: str, value: object) -> bool:
    """Return `value` as a bool; anything but True and False is a ``TypeError``."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"'{name}' must be a bool: {shown(value)}")
    return bool(value)


def as_real(name: str, value: object) -> float:
    """Return `value` as a float; anything but a real number is a ``TypeError``."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"'{name}' must be a real number: {shown(value)}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"'{name}' must be finite: an integer of {digits(int(value))} digits") from None


def _said(attribute: Attribute[Any]) -> str:
    """Name of a field in its class's signature."""
    return attribute.alias or attribute.name


def integer(minimum: int, maximum: float = LARGEST_INTEGER) -> Validator:
    """Field must be an integer in a closed range; it is stored as an int."""

    def check(item: Any, attribute: Attribute[Any], value: Any) -> None:
        name = _said(attribute)
        number = as_integer(name, value)
        require(name, number >= minimum, f">= {minimum}", value)
        require(name, number <= maximum, f"<= {maximum}", value)
        if type(value) is not int:
            # The only way to set a field of a frozen class, of which a validator is a part.
            object.__setattr__(item, attribute.name, number)

    return check


def real(
    *, above: float = -math.inf, below: float = math.inf, minimum: float = -math.inf, maximum: float = math.inf
) -> Validator:
    """Field that must be a finite real number in a range.

    The range is open (`above`, `below`) or closed; the value is stored as a Python number.
    """

    def check(item: Any, attribute: Attribute[Any], value: Any) -> None:
        name = _said(attribute)
        number = as_real(name, value)
        require(name, math.isfinite(number), "finite", value)
        require(name, number > above, f"> {above:g}", value)
        require(name, number < below, f"< {below:g}", value)
        require(name, number >= minimum, f">= {minimum:g}", value)
        require(name, number <= maximum, f"<= {maximum:g}", value)
        if type(value) not in (int, float) or abs(number) > _LARGEST_EXACT:
            object.__setattr__(item, attribute.name, number)

    return check


def boolean(_: Any, attribute: Attribute[Any], value: Any) -> None:
    """Field must be True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"'{_said(attribute)}' must be a bool: {shown(value)}")


def instance(kind: type) -> Validator:
    """Field must be an instance of a class."""

    def check(_: Any, attribute: Attribute[Any], value: Any) -> None:
        if not isinstance(value, kind):
            raise TypeError(f"'{_said(attribute)}' must be a {kind.__name__}: {shown(value)}")

    return check


def one_of(*names: str) -> Validator:
    """Field must be one of these names."""

    def check(_: Any, attribute: Attribute[Any], value: Any) -> None:
        require(attribute.name, isinstance(value, str) and value in names, f"one of {', '.join(names)}", value)

    return check


def has_masked(value: object, depth: int = _MOST_DIMENSIONS) -> bool:
    """Return whether an array, or one in a list of arrays, has masked elements.

    NumPy drops masks silently.
    """
    if isinstance(value, np.ma.MaskedArray):
        return bool(np.ma.getmaskarray(value).any())
    return (
        depth > 0
        and isinstance(value, list | tuple)
        and any(has_masked(item, depth - 1) for item in value if isinstance(item, np.ma.MaskedArray | list | tuple))
    )


def as_list(name: str, value: Iterable[T]) -> list[T]:
    """Return the items of an iterable as a list, unless there are too many."""
    found = list(itertools.islice(value, _MOST_ITEMS + 1))
    require(name, len(found) <= _MOST_ITEMS, f"at most {_MOST_ITEMS} items", type(value))
    return found


def plain(value: Any) -> Any:
    """Return a tensor as a NumPy array, and anything else unchanged."""
    if not hasattr(value, "detach"):
        return value
    tensor = value.detach().cpu()
    if tensor.layout is not torch.strided:
        raise TypeError("a sparse tensor is not supported: pass tensor.to_dense()")
    return (tensor.float() if tensor.dtype in _NOT_IN_NUMPY else tensor).numpy()


def as_vector(
    name: str, value: object, *, size: int | None = None, finite: bool = True, scalar: bool = False
) -> NDArray[np.float64]:
    """Copy `value` into a float64 array of shape (n,).

    If it does not fit, an error names field, rule and value.

    Parameters
    ----------
    name : str
        Name of the value in messages.
    value : array_like
        Numbers of shape (n,); a tensor is detached and copied to the CPU.
    size : int, optional
        The required n.
    finite : bool, default True
        Whether infinite elements are refused; nan always is.
    scalar : bool, default False
        Whether a single number is accepted as a vector of one element.
    """
    if has_masked(value):
        raise ValueError(f"'{name}' must have no masked elements: fill them, or leave them out: {shown(value)}")
    try:
        raw = np.asarray(plain(value))
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"'{name}' must be an array of real numbers: {shown(value)}") from error
    if raw.dtype.kind not in "iuf":
        raise TypeError(f"'{name}' must be an array of real numbers, got dtype {raw.dtype}: {shown(value)}")
    with np.errstate(over="ignore"):
        # A number too large for a float becomes inf.
        array = np.array(raw, dtype=np.float64)
    if scalar and array.ndim == 0:
        array = array[None]
    if array.ndim != 1 or array.size == 0:
        flat = "; flatten it, and reshape the point inside 'fun'" if array.ndim > 1 and scalar else ""
        raise ValueError(f"'{name}' must have shape (n,) with n >= 1, got shape {array.shape}{flat}: {shown(value)}")
    if size is not None and array.size != size:
        raise ValueError(f"'{name}' must have {size} elements, got {array.size}: {shown(value)}")
    if np.isnan(array).any() or (finite and not np.isfinite(array).all()):
        raise ValueError(f"'{name}' must be {'finite' if finite else 'free of nan'}: {shown(value)}")
    return array


def check_scale(scale: NDArray[np.float64], value: object) -> None:
    """Check that scales are > 0 and that products of two scales are finite."""
    require("x_scale", bool((scale > 0).all()), "> 0", value)
    sound = bool(((scale >= 1 / _LARGEST_SCALE) & (scale <= _LARGEST_SCALE)).all())
    require("x_scale", sound, f"in [{1 / _LARGEST_SCALE:g}, {_LARGEST_SCALE:g}]", value)


def canonical(name: str) -> str:
    """A name in lower case with hyphens, as the registry spells it."""
    return name.lower().replace("_", "-")


def by_name(known: Mapping[str, T], name: object, kind: str) -> T:
    """Return the item of a name, in any case, with hyphens or underscores.

    This is the one lookup by name.

    Parameters
    ----------
    known : mapping of str
        Items by name, in lower case.
    name : str
        The name.
    kind : str
        What the items are, for the message.

    Raises
    ------
    UnknownNameError
        If there is none; the message lists the names nearest to it.
    """
    text = name.lower() if isinstance(name, str) else ""
    for spelling in (text, canonical(text), text.replace("-", "_")):
        with contextlib.suppress(KeyError):
            return known[spelling]
    raise UnknownNameError(f"unknown {kind} {shown(name)}; {suggest(text, known)}")


def with_fields(default: T, value: Mapping[str, Any]) -> T:
    """Return a copy of a configuration with the fields of a mapping.

    A command line passes fields in this way.
    """
    configuration: Any = default
    known = [item.name for item in attrs.fields(type(configuration))]
    for key in value:
        if key not in known:
            raise ValueError(f"{type(default).__name__} has no field {shown(key)}; {suggest(str(key), known)}")
    changed: T = attrs.evolve(configuration, **value)
    return changed
