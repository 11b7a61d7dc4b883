"""Parts that other packages register by entry points."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from invopt.core.validators import canonical
from invopt.exceptions import EntryPointError

__all__ = ["clash", "entries", "from_packages", "load"]


def from_packages(group: str, taken: Iterable[str], unfit: Callable[[Any], str]) -> dict[str, Any]:
    """Parts that other packages register in the group ``invopt.<group>``, by name.

    Each that cannot be used gives a warning.

    Parameters
    ----------
    group : str
        Last part of the name of the group.
    taken : iterable of str
        Names of invopt itself.
    unfit : callable
        ``unfit(item) -> str``, why an object cannot be registered in this group; empty if it can.
    """
    found = {}
    for name in sorted({canonical(entry.name) for entry in entry_points(group=f"invopt.{group}")}):
        try:
            if name in taken:
                raise clash(group, name)
            found[name] = load(group, name, unfit)
        except EntryPointError as error:
            warnings.warn(f"{error}; it is left out", stacklevel=3)
    return found


def entries(group: str, name: str) -> list[EntryPoint]:
    """Entry points of a name in the group ``invopt.<group>``."""
    return [entry for entry in entry_points(group=f"invopt.{group}") if canonical(entry.name) == name]


def clash(group: str, name: str) -> EntryPointError:
    """Error for entry points whose name is invopt's own."""
    return EntryPointError(f"{_place(group, name, entries(group, name))}: the name is invopt's own; choose another")


def _place(group: str, name: str, found: Iterable[EntryPoint]) -> str:
    packages = sorted({entry.value if entry.dist is None else entry.dist.name for entry in found})
    return f"entry point {name!r} of group 'invopt.{group}' in {' and '.join(packages)}"


def load(group: str, name: str, unfit: Callable[[Any], str]) -> Any:
    """Part that another package registers under a name, or None.

    An entry point that cannot be used is an error.
    """
    found = entries(group, name)
    if not found:
        return None
    place = _place(group, name, found)
    if len(found) > 1:
        raise EntryPointError(f"{place}: the name is registered {len(found)} times; pass an instance, not the name")
    if not re.fullmatch(r"[a-z0-9.-]+", name):
        raise EntryPointError(f"{place}: a name has letters, digits, hyphens and points only")
    try:
        item = found[0].load()
    except Exception as error:
        raise EntryPointError(f"{place} cannot be loaded: {type(error).__name__}: {error}") from error
    if why := unfit(item):
        raise EntryPointError(f"{place}: {found[0].value} {why}")
    return item
