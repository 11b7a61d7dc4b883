"""Classes of state that a file may name: those of the parts at hand, found in what is loaded, never imported."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from enum import Enum
from typing import Any

import attrs

from invopt.core.identity.library import top_level
from invopt.core.identity.names import reference

__all__ = ["Classes", "state_classes"]

Classes = dict[str, type[Any]]


def state_classes(parts: Iterable[object]) -> Classes:
    """Classes of values in the packages that the classes of `parts` come from, by name."""
    packages = {top_level(cls.__module__) for part in parts for cls in type(part).__mro__ if cls is not object}
    found: Classes = {}
    for name, module in list(sys.modules.items()):
        # What stands there need not be a module.
        contents = getattr(module, "__dict__", None) if top_level(name) in packages else None
        if isinstance(contents, dict):
            for item in list(contents.values()):
                if isinstance(item, type) and _is_value(item):
                    found[reference(item)] = item
    return found


def _is_value(cls: type[Any]) -> bool:
    """Whether instances are nothing but their fields: attrs classes, named tuples, enumerations."""
    return attrs.has(cls) or hasattr(cls, "_fields") or issubclass(cls, Enum)
