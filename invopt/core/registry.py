"""Names of problems, estimators and methods; the framework reaches the wings only through here."""

from __future__ import annotations

import importlib
import re
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from invopt.core.estimator import Estimator
from invopt.core.formatting import shown
from invopt.core.optimizer import Optimizer
from invopt.core.problem import Problem
from invopt.exceptions import UnknownNameError, suggest

__all__ = ["BASES", "find", "kebab", "names", "resolve"]

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


@cache
def names(wing: str) -> dict[str, type[Any]]:
    """Registered names of a wing and their classes, third-party entry points of group ``invopt.<wing>`` included."""
    found = {name: _public(wing, public) for name, public in _homes(wing).items()}
    found = {name: cls for name, cls in found.items() if _is_part(wing, cls)}
    for entry in entry_points(group=f"invopt.{wing}"):
        found[entry.name] = entry.load()
    return found


@cache
def _homes(wing: str) -> dict[str, str]:
    """Names of our own and what they are called in the wing's module; nothing is loaded for that."""
    return {kebab(public): public for public in importlib.import_module(f"invopt.{wing}").__all__} | _ALIASES[wing]


def _public(wing: str, name: str) -> Any:
    return getattr(importlib.import_module(f"invopt.{wing}"), name)


def _is_part(wing: str, item: Any) -> bool:
    return isinstance(item, type) and issubclass(item, BASES[wing]) and not getattr(item, "__abstractmethods__", None)


@cache
def _stand_ins(wing: str) -> dict[str, type[Any]]:
    """Names that are the first argument of a class of the wing: methods of scipy."""
    return {name: cls for cls in names(wing).values() for name in getattr(cls, "stands_for", ())}


def find(wing: str, name: str) -> type[Any]:
    """Class registered under `name`; an unknown one is an error that lists near names."""
    cls = _find(wing, name.lower().replace("_", "-"))
    if cls is None:
        kind = wing.removesuffix("s")
        known = [*names(wing), *_stand_ins(wing)]
        raise UnknownNameError(f"unknown {kind} {name!r}; {suggest(name, known)}")
    return cls


@cache
def _find(wing: str, name: str) -> type[Any] | None:
    """Class under a name, without loading others: a third party's goes before ours."""
    for entry in entry_points(group=f"invopt.{wing}"):
        if entry.name == name:
            loaded: type[Any] = entry.load()
            return loaded
    public = _homes(wing).get(name)
    item = None if public is None else _public(wing, public)
    return item if _is_part(wing, item) else None


def resolve(wing: str, value: Any, argument: str) -> Any:
    """Return an object as it is, make one from a name; anything else is a ``TypeError``."""
    base = BASES[wing]
    if isinstance(value, str):
        name = value.lower().replace("_", "-")
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
