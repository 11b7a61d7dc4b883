"""Validators for attrs fields: every message names the field, the rule and the value."""

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

# What every library can count up to.
MOST = 2**63 - 1
# Integers up to here are floats too.
_EXACT = 2.0**53
# Dimensions that arrays have at most, and items that an iterable may give.
_DEEPEST, _LONGEST = 64, 2**22
# Scales and their inverses are at most this.
_FARTHEST = 1e100
# Types of torch's that NumPy has not.
_NARROW = (torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2)

T = TypeVar("T")
Validator = Callable[[Any, "Attribute[Any]", Any], None]


def require(name: str, condition: bool, rule: str, value: object) -> None:
    """Raise ``ValueError`` unless `condition` holds."""
    if not condition:
        raise ValueError(f"'{name}' must be {rule}: {shown(value)}")


def as_integer(name: str, value: object) -> int:
    """Return `value` as an int; 10.0 and 1e4 are some; a bool, a fraction or a non-number is a ``TypeError``."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"'{name}' must be an integer: {shown(value)}")
    return int(value)


def as_path(name: str, value: object) -> Path:
    """Return `value` as a path that a system may have; anything but text and paths is a ``TypeError``."""
    if not isinstance(value, str | Path):
        raise TypeError(f"'{name}' must be a path: {shown(value)}")
    try:
        free = b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        free = False
    require(name, free, "a path without characters that no file can have", str(value))
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
    """Name that the caller knows the field by."""
    return attribute.alias or attribute.name


def integer(minimum: int, maximum: float = MOST) -> Validator:
    """Field must be an integer in a closed range; whatever type it is given in, it is kept as an int."""

    def check(item: Any, attribute: Attribute[Any], value: Any) -> None:
        name = _said(attribute)
        number = as_integer(name, value)
        require(name, number >= minimum, f">= {minimum}", value)
        require(name, number <= maximum, f"<= {maximum}", value)
        if type(value) is not int:
            # The fields of a frozen class can be set by its own parts alone, which a validator is.
            object.__setattr__(item, attribute.name, number)

    return check


def real(
    *, above: float = -math.inf, below: float = math.inf, minimum: float = -math.inf, maximum: float = math.inf
) -> Validator:
    """Field must be a finite real number in an open (`above`, `below`) or closed range; NumPy's are kept as floats."""

    def check(item: Any, attribute: Attribute[Any], value: Any) -> None:
        name = _said(attribute)
        number = as_real(name, value)
        require(name, math.isfinite(number), "finite", value)
        require(name, number > above, f"> {above:g}", value)
        require(name, number < below, f"< {below:g}", value)
        require(name, number >= minimum, f">= {minimum:g}", value)
        require(name, number <= maximum, f"<= {maximum:g}", value)
        if type(value) not in (int, float) or abs(number) > _EXACT:
            object.__setattr__(item, attribute.name, number)

    return check


def boolean(_: Any, attribute: Attribute[Any], value: Any) -> None:
    """Field must be True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"'{_said(attribute)}' must be a bool: {shown(value)}")


def instance(kind: type) -> Validator:
    """Field must be of a class."""

    def check(_: Any, attribute: Attribute[Any], value: Any) -> None:
        if not isinstance(value, kind):
            raise TypeError(f"'{_said(attribute)}' must be a {kind.__name__}: {shown(value)}")

    return check


def one_of(*names: str) -> Validator:
    """Field must be one of these names."""

    def check(_: Any, attribute: Attribute[Any], value: Any) -> None:
        require(attribute.name, isinstance(value, str) and value in names, f"one of {', '.join(names)}", value)

    return check


def has_masked(value: object, depth: int = _DEEPEST) -> bool:
    """Whether anything is masked in an array, or in one of a list of arrays: NumPy drops masks without a word."""
    if isinstance(value, np.ma.MaskedArray):
        return bool(np.ma.getmaskarray(value).any())
    return (
        depth > 0
        and isinstance(value, list | tuple)
        and any(has_masked(item, depth - 1) for item in value if isinstance(item, np.ma.MaskedArray | list | tuple))
    )


def as_list(name: str, value: Iterable[T]) -> list[T]:
    """What an iterable gives, as long as it comes to an end."""
    found = list(itertools.islice(value, _LONGEST + 1))
    require(name, len(found) <= _LONGEST, f"at most {_LONGEST} items", type(value))
    return found


def plain(value: Any) -> Any:
    """A tensor as an array, of a type that NumPy has; anything else as it is."""
    if not hasattr(value, "detach"):
        return value
    tensor = value.detach().cpu()
    if tensor.layout is not torch.strided:
        raise TypeError("a sparse tensor: give tensor.to_dense()")
    return (tensor.float() if tensor.dtype in _NARROW else tensor).numpy()


def as_vector(
    name: str, value: object, *, size: int | None = None, finite: bool = True, scalar: bool = False
) -> NDArray[np.float64]:
    """Copy `value` into a float64 array of shape (n,), or raise naming the field, rule and value.

    Parameters
    ----------
    name : str
        What the message calls the value.
    value : array_like
        Numbers of shape (n,); a tensor is detached and copied to the CPU.
    size : int, optional
        The required n.
    finite : bool, default True
        Refuse nan and infinity; otherwise refuse nan only.
    scalar : bool, default False
        Take one number for a vector of one.
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
        # What is too large for a float is inf.
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
    """Scales must be > 0, and so that products of two of them are numbers."""
    require("x_scale", bool((scale > 0).all()), "> 0", value)
    sound = bool(((scale >= 1 / _FARTHEST) & (scale <= _FARTHEST)).all())
    require("x_scale", sound, f"in [{1 / _FARTHEST:g}, {_FARTHEST:g}]", value)


def canonical(name: str) -> str:
    """A name in lower case with hyphens, as the registry spells it."""
    return name.lower().replace("_", "-")


def by_name(known: Mapping[str, T], name: object, kind: str) -> T:
    """Return the item of a name, in any case, with hyphens or underscores; the one lookup by name.

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
    """A copy of a configuration with the fields of a mapping, as a command line gives it."""
    configuration: Any = default
    known = [item.name for item in attrs.fields(type(configuration))]
    for key in value:
        if key not in known:
            raise ValueError(f"{type(default).__name__} has no field {shown(key)}; {suggest(str(key), known)}")
    changed: T = attrs.evolve(configuration, **value)
    return changed
