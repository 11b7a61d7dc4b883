"""Imports of modules by the names that they had before they moved."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from invopt.core.identity.names import MODULES

__all__ = ["find_moved_modules"]


class _MovedModule(Loader):
    """Loads the module that has moved: one object, under both names."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._name)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has set that of the old name.
        module.__spec__ = self._spec


class _MovedModules(MetaPathFinder):
    """Finds public modules by their old names, after everything that exists."""

    def __init__(self, moved: Mapping[str, str]) -> None:
        self._moved = {old: new for new, old in moved.items() if "._" not in old}

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        new = self._moved.get(fullname)
        return None if new is None else ModuleSpec(fullname, _MovedModule(new))


def find_moved_modules() -> None:
    """Let modules be imported by their old names too."""
    if not any(isinstance(finder, _MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(_MovedModules(MODULES))
