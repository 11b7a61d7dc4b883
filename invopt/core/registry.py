"""Names of problems, estimators and methods; the framework reaches the wings only through here.

Other packages register theirs by entry points of the groups ``invopt.problems``, ``invopt.estimators`` and
``invopt.optimizers``. A name that invopt itself has stays invopt's, so that no installed package changes what a name
of invopt means. An entry point that cannot be used is an `EntryPointError` when its name is asked for, and a warning
when all names are listed.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from invopt.core.estimator import Estimator
from invopt.core.formatting import shown
from invopt.core.optimizer import Optimizer
from invopt.core.problem import Problem
from invopt.exceptions import EntryPointError, UnknownNameError, suggest

__all__ = ["BASES", "find", "from_packages", "kebab", "names", "resolve"]

BASES: dict[str, type[Any]] = {"problems": Problem, "estimators": Estimator, "optimizers": Optimizer}

# The papers' names of things whose class is called otherwise.
_ALIASES = {
    "problems": {"quad": "Quadratic", "radiosity": "NeuralRadiosity"},
    "estimators": {"fd": "FiniteDifference", "hvpa": "AggregateHVP", "hvp": "SmoothedHVP"},
    "optimizers": {"gd": "GradientDescent", "cg": "FletcherReevesCG"},
}


def kebab(name: str) -> str:
    """Class name in lower case with hyphens: ``FletcherReevesCG`` becomes ``fletcher-reeves-cg``."""
    if name.isupper() or re.fullmatch(r"[A-Z]+\d*", name):
        return name.lower()
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


def _normal(name: str) -> str:
    return name.lower().replace("_", "-")


@cache
def names(wing: str) -> dict[str, type[Any]]:
    """Registered names of a wing and their classes, those of other packages included."""
    own = _own(wing)
    return own | from_packages(wing, {*own, *_represented(own)}, partial(_unfit, wing))


@cache
def _own(wing: str) -> dict[str, type[Any]]:
    """Names of invopt itself and their classes."""
    found = {name: _public(wing, public) for name, public in _homes(wing).items()}
    return {name: cls for name, cls in found.items() if _is_part(wing, cls)}


def from_packages(group: str, taken: Iterable[str], unfit: Callable[[Any], str]) -> dict[str, Any]:
    """What other packages register in the group ``invopt.<group>``, by name; a warning for each that cannot be used.

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
    for name in sorted({_normal(entry.name) for entry in entry_points(group=f"invopt.{group}")}):
        try:
            if name in taken:
                entries = _entries(group, name)
                raise EntryPointError(f"{_place(group, name, entries)}: the name is invopt's own; choose another")
            found[name] = _load(group, name, unfit)
        except EntryPointError as error:
            warnings.warn(f"{error}; it is left out", stacklevel=3)
    return found


def _entries(group: str, name: str) -> list[EntryPoint]:
    return [entry for entry in entry_points(group=f"invopt.{group}") if _normal(entry.name) == name]


def _place(group: str, name: str, entries: Iterable[EntryPoint]) -> str:
    packages = sorted({entry.value if entry.dist is None else entry.dist.name for entry in entries})
    return f"entry point {name!r} of group 'invopt.{group}' in {' and '.join(packages)}"


def _load(group: str, name: str, unfit: Callable[[Any], str]) -> Any:
    """What other packages register under a name, or None; an entry point that cannot be used is an error."""
    entries = _entries(group, name)
    if not entries:
        return None
    place = _place(group, name, entries)
    if len(entries) > 1:
        raise EntryPointError(f"{place}: the name is registered {len(entries)} times; pass an instance, not the name")
    if not re.fullmatch(r"[a-z0-9.-]+", name):
        raise EntryPointError(f"{place}: a name has letters, digits, hyphens and points only")
    try:
        item = entries[0].load()
    except Exception as error:
        raise EntryPointError(f"{place} cannot be loaded: {type(error).__name__}: {error}") from error
    if why := unfit(item):
        raise EntryPointError(f"{place}: {entries[0].value} {why}")
    return item


@cache
def _homes(wing: str) -> dict[str, str]:
    """Names of invopt itself, and the class names in the wing's module; no class is loaded."""
    return {kebab(public): public for public in importlib.import_module(f"invopt.{wing}").__all__} | _ALIASES[wing]


def _public(wing: str, name: str) -> Any:
    return getattr(importlib.import_module(f"invopt.{wing}"), name)


def _is_part(wing: str, item: Any) -> bool:
    return not _unfit(wing, item)


def _unfit(wing: str, item: Any) -> str:
    """Why an object is not a class that can be used in a wing; empty if it is."""
    base = BASES[wing]
    if not (isinstance(item, type) and issubclass(item, base)):
        return f"is not a subclass of invopt.{base.__name__}: {shown(item)}"
    if missing := sorted(getattr(item, "__abstractmethods__", ())):
        return f"has abstract methods: define {', '.join(missing)}"
    return ""


def _represented(classes: Mapping[str, type[Any]]) -> dict[str, type[Any]]:
    """Names that are the first argument of one of the classes: methods of scipy."""
    return {name: cls for cls in classes.values() for name in getattr(cls, "stands_for", ())}


@cache
def _stand_ins(wing: str) -> dict[str, type[Any]]:
    return _represented(names(wing))


def find(wing: str, name: str) -> type[Any]:
    """Class registered under `name`; an unknown one is an error that lists near names."""
    cls = _find(wing, _normal(name))
    if cls is None:
        kind = wing.removesuffix("s")
        known = {*names(wing), *_stand_ins(wing)}
        raise UnknownNameError(f"unknown {kind} {name!r}; {suggest(name, known)}")
    return cls


@cache
def _find(wing: str, name: str) -> type[Any] | None:
    """Class under a name, without loading others: invopt's own, else that of another package."""
    public = _homes(wing).get(name)
    item = None if public is None else _public(wing, public)
    if _is_part(wing, item):
        found: type[Any] | None = item
        return found
    if _entries(wing, name) and name in _represented(_own(wing)):
        return None
    found = _load(wing, name, partial(_unfit, wing))
    return found


def resolve(wing: str, value: Any, argument: str) -> Any:
    """Return an object as it is, make one from a name; anything else is a ``TypeError``."""
    base = BASES[wing]
    if isinstance(value, str):
        name = _normal(value)
        if _find(wing, name) is None and name in _stand_ins(wing):
            return _stand_ins(wing)[name](name)
        value = find(wing, value)
        try:
            return value()
        except TypeError as error:
            raise TypeError(f"'{argument}': {value.__name__} cannot be made from its name alone: {error}") from None
    if isinstance(value, type) and issubclass(value, base):
        raise TypeError(f"'{argument}' must be an instance, not a class: write {value.__name__}(...)")
    if not isinstance(value, base):
        raise TypeError(f"'{argument}' must be a name or an instance of {base.__name__}: {shown(value)}")
    return value
