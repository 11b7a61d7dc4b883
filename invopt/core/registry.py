"""Registry: problems, estimators and methods by name. The framework reaches the wings only through it."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from invopt.core.estimator import Estimator
from invopt.core.formatting import shown
from invopt.core.optimizer import Optimizer
from invopt.core.problem import Problem
from invopt.core.validators import by_name, canonical

__all__ = ["BASES", "find", "kebab", "names", "resolve"]

BASES: dict[str, type[Any]] = {"problems": Problem, "estimators": Estimator, "optimizers": Optimizer}

# Names in the papers of classes that are called otherwise here.
_ALIASES = {
    "problems": {"quad": "Quadratic", "radiosity": "NeuralRadiosity"},
    "estimators": {"fd": "FiniteDifference", "hvpa": "AggregateHVP", "hvp": "SmoothedHVP"},
    "optimizers": {"gd": "GradientDescent", "cg": "FletcherReevesCG"},
}


def kebab(name: str) -> str:
    """Return a class name in lower case with hyphens: ``FletcherReevesCG`` becomes ``fletcher-reeves-cg``."""
    if name.isupper() or re.fullmatch(r"[A-Z]+\d*", name):
        return name.lower()
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


@cache
def names(wing: str) -> dict[str, type[Any]]:
    """Return all registered classes of a wing by name, those of entry points of group ``invopt.<wing>`` included."""
    found = {name: _public(wing, public) for name, public in _public_names(wing).items()}
    found = {name: cls for name, cls in found.items() if _is_part(wing, cls)}
    for entry in entry_points(group=f"invopt.{wing}"):
        found[entry.name] = entry.load()
    return found


@cache
def _public_names(wing: str) -> dict[str, str]:
    """Registered names of our own classes, and their names in the wing's module; no class is loaded for that."""
    return {kebab(public): public for public in importlib.import_module(f"invopt.{wing}").__all__} | _ALIASES[wing]


def _public(wing: str, name: str) -> Any:
    return getattr(importlib.import_module(f"invopt.{wing}"), name)


def _is_part(wing: str, item: Any) -> bool:
    return isinstance(item, type) and issubclass(item, BASES[wing]) and not getattr(item, "__abstractmethods__", None)


@cache
def _stand_ins(wing: str) -> dict[str, type[Any]]:
    """Names that stand for a class with the name as its first argument: methods of scipy."""
    return {name: cls for cls in names(wing).values() for name in getattr(cls, "stands_for", ())}


class _Parts(Mapping[str, type[Any]]):
    """Registered classes of a wing by name; a lookup loads the one class alone, which starts faster."""

    def __init__(self, wing: str) -> None:
        self._wing = wing

    def __getitem__(self, name: str) -> type[Any]:
        cls = _load(self._wing, name)
        if cls is None:
            raise KeyError(name)
        return cls

    def __iter__(self) -> Iterator[str]:
        yield from names(self._wing)
        yield from _stand_ins(self._wing)

    def __len__(self) -> int:
        return len(list(iter(self)))


@cache
def _load(wing: str, name: str) -> type[Any] | None:
    """Class of a name, or None; a third party's goes before ours."""
    for entry in entry_points(group=f"invopt.{wing}"):
        if entry.name == name:
            loaded: type[Any] = entry.load()
            return loaded
    public = _public_names(wing).get(name)
    item = None if public is None else _public(wing, public)
    return item if _is_part(wing, item) else None


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
    return by_name(_Parts(wing), name, wing.removesuffix("s"))


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
    if _load(wing, known) is None and known in _stand_ins(wing):
        return _stand_ins(wing)[known](known)
    cls = find(wing, name)
    try:
        return cls()
    except TypeError as error:
        raise TypeError(f"'{argument}': {cls.__name__} cannot be made from its name alone: {error}") from None
