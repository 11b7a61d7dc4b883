"""Classes that a snapshot may name: those of the packages of the run's parts."""

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
    """Value classes of the packages that define `parts`, by name.

    Nothing is imported.
    """
    packages = {top_level(cls.__module__) for part in parts for cls in type(part).__mro__ if cls is not object}
    found: Classes = {}
    for name, module in list(sys.modules.items()):
        # An entry need not be a module.
        contents = getattr(module, "__dict__", None) if top_level(name) in packages else None
        if isinstance(contents, dict):
            for item in list(contents.values()):
                if isinstance(item, type) and _is_value(item):
                    found[reference(item)] = item
    return found


def _is_value(cls: type[Any]) -> bool:
    """Whether instances consist of their fields only.

    Attrs classes, named tuples and enumerations do.
    """
    return attrs.has(cls) or hasattr(cls, "_fields") or issubclass(cls, Enum)
