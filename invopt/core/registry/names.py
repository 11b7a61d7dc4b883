"""Names of problems, estimators and methods.

The framework reaches the wings only through here. Other packages register theirs by entry points of the groups
``invopt.problems``, ``invopt.estimators`` and ``invopt.optimizers``. A name that invopt itself has stays invopt's, so
that no installed package changes what a name of invopt means. An entry point that cannot be used is an
`EntryPointError` when its name is asked for, and a warning when all names are listed.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from functools import cache, partial
from typing import Any

from invopt.core.estimator import Estimator
from invopt.core.formatting import shown
from invopt.core.optimizer import Optimizer
from invopt.core.problem import Problem
from invopt.core.registry.entry_points import clash, entries, from_packages, load
from invopt.core.registry.removed import REMOVED
from invopt.core.validators import by_name, canonical
from invopt.exceptions import UnknownNameError

__all__ = ["BASES", "find", "kebab", "names", "resolve"]

BASES: dict[str, type[Any]] = {"problems": Problem, "estimators": Estimator, "optimizers": Optimizer}

# The papers' names of things whose class is called otherwise.
_ALIASES = {
    "problems": {"quad": "Quadratic", "radiosity": "NeuralRadiosity"},
    "estimators": {"fd": "FiniteDifference", "hvpa": "AggregateHVP", "hvp": "SmoothedHVP"},
    "optimizers": {"gd": "GradientDescent", "cg": "FletcherReevesCG"},
}
# Names that `minimize` takes for choices of its own.
_CHOICES = {"estimators": ("auto", "paper")}


def kebab(name: str) -> str:
    """Class name in lower case with hyphens.

    ``FletcherReevesCG`` becomes ``fletcher-reeves-cg``.
    """
    if name.isupper() or re.fullmatch(r"[A-Z]+\d*", name):
        return name.lower()
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


@cache
def names(wing: str) -> dict[str, type[Any]]:
    """Registered names of a wing and their classes, those of other packages included."""
    own = _own(wing)
    return own | from_packages(wing, {*own, *_represented(own), *_CHOICES.get(wing, ())}, partial(_unfit, wing))


@cache
def _own(wing: str) -> dict[str, type[Any]]:
    """Names of invopt itself and their classes."""
    found = {name: _public(wing, public) for name, public in _homes(wing).items()}
    return {name: cls for name, cls in found.items() if _is_part(wing, cls)}


@cache
def _homes(wing: str) -> dict[str, str]:
    """Names of invopt itself, and the class names in the wing's module.

    No class is loaded.
    """
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


class _Parts(Mapping[str, type[Any]]):
    """Registered classes of a wing by name.

    A lookup loads the one class alone, which starts faster.
    """

    def __init__(self, wing: str) -> None:
        self._wing = wing

    def __getitem__(self, name: str) -> type[Any]:
        cls = _find(self._wing, name)
        if cls is None:
            raise KeyError(name)
        return cls

    def __iter__(self) -> Iterator[str]:
        yield from names(self._wing)
        yield from _stand_ins(self._wing)

    def __len__(self) -> int:
        return len(list(iter(self)))


def find(wing: str, name: str) -> type[Any]:
    """Return the class registered under a name.

    Parameters
    ----------
    wing : {"problems", "estimators", "optimizers"}
        Where.
    name : str
        Its name, in any case, with hyphens or underscores.

    Raises
    ------
    UnknownNameError
        If there is none; the message lists the names nearest to it.
    """
    try:
        return by_name(_Parts(wing), name, wing.removesuffix("s"))
    except UnknownNameError:
        known = canonical(str(name))
        cls = _stand_ins(wing).get(known)
        if said := next((said for gone, said in REMOVED.items() if kebab(gone) == known), ""):
            raise UnknownNameError(f"unknown {wing.removesuffix('s')} {shown(name)}: {said}") from None
        if cls is None:
            raise
        raise UnknownNameError(f"{shown(name)} has no class of its own: write {cls.__name__}({known!r})") from None


@cache
def _find(wing: str, name: str) -> type[Any] | None:
    """Class under a name, without loading others.

    It is invopt's own, otherwise that of another package.
    """
    public = _homes(wing).get(name)
    item = None if public is None else _public(wing, public)
    if _is_part(wing, item):
        found: type[Any] | None = item
        return found
    if not entries(wing, name):
        return None
    if name in _CHOICES.get(wing, ()):
        raise clash(wing, name)
    found = None if name in _represented(_own(wing)) else load(wing, name, partial(_unfit, wing))
    return found


def resolve(wing: str, value: Any, argument: str) -> Any:
    """Return an instance as it is, or make one from its name.

    Parameters
    ----------
    wing : {"problems", "estimators", "optimizers"}
        Where names are looked up.
    value : object
        An instance or a name.
    argument : str
        What messages call it.

    Raises
    ------
    TypeError
        If it is neither, or its class cannot be made from a name alone.
    UnknownNameError
        If no class has this name.
    """
    base = BASES[wing]
    if isinstance(value, str):
        return _made(wing, value, argument)
    if isinstance(value, type) and issubclass(value, base):
        raise TypeError(f"'{argument}' must be an instance, not a class: write {value.__name__}(...)")
    if not isinstance(value, base):
        raise TypeError(f"'{argument}' must be a name or an instance of {base.__name__}: {shown(value)}")
    return value


def _made(wing: str, name: str, argument: str) -> Any:
    known = canonical(name)
    if _find(wing, known) is None and known in _stand_ins(wing):
        return _stand_ins(wing)[known](known)
    cls = find(wing, name)
    try:
        return cls()
    except TypeError as error:
        raise TypeError(f"'{argument}': {cls.__name__} cannot be made from its name alone: {error}") from None
