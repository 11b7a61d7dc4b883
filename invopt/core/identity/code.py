"""Content of functions, classes and modules: their code, and what it refers to."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

from invopt.core.identity.library import is_library, is_own_module
from invopt.core.identity.uses import codes, globals_of, imports, is_dynamic, reached

__all__ = ["Part", "class_parts", "function_parts", "is_importable", "module_parts"]

# Attributes of a code object that say what it does, without those that say where it is written.
_CODE = (
    "co_argcount",
    "co_posonlyargcount",
    "co_kwonlyargcount",
    "co_flags",
    "co_code",
    "co_names",
    "co_varnames",
    "co_freevars",
    "co_cellvars",
    "co_exceptiontable",
)
# Attributes of a class that Python and abc add, which are not its content.
_MACHINERY = {
    "__dict__",
    "__weakref__",
    "__module__",
    "__doc__",
    "__qualname__",
    "__firstlineno__",
    "__static_attributes__",
    "__annotate__",
    "__annotate_func__",
    "__annotations_cache__",
    "_abc_impl",
}
# Attributes of a module that the import system adds.
_IMPORTED = {
    "__name__",
    "__doc__",
    "__package__",
    "__loader__",
    "__spec__",
    "__path__",
    "__file__",
    "__cached__",
    "__builtins__",
}


class Part(NamedTuple):
    """A named part of a value.

    Attributes
    ----------
    name : str
        Its name in messages.
    value : object
    outside : bool
        Whether others hold it too, and may change it: a global, a module, a class.
    droppable : bool
        Whether it is left out if it has no digest.
    """

    name: str
    value: Any
    outside: bool = False
    droppable: bool = False


def is_importable(value: Any) -> bool:
    """Return whether a module holds a library's function or class under its name.

    What it holds must be that very object.
    """
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
    if not is_library(module):
        return False
    found: Any = sys.modules.get(str(module))
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is value


def function_parts(function: FunctionType) -> Iterator[Part]:
    """Content of a function: code, defaults, closure, and the globals that it names."""
    code = function.__code__
    yield from _code_parts(code)
    yield Part("the defaults", [function.__defaults__, function.__kwdefaults__])
    yield Part("the attributes", function.__dict__)
    cells: dict[str, Any] = {}
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            cells[name] = cell.cell_contents
        except ValueError:
            yield Part(name, "an empty cell")
    yield from _named(function, cells)


def _named(function: FunctionType, cells: Mapping[str, Any]) -> Iterator[Part]:
    """Objects that the code reaches by name.

    They are the closure, globals, and modules that it imports.
    """
    if is_library(function.__globals__.get("__name__")):
        # A wrapper made by a library: its code and what it wraps identify it, because the rest belongs to the library.
        for name, value in cells.items():
            yield Part(f"the closure's {name!r}", value)
        return
    inner = list(codes(function.__code__))
    for name, value in cells.items():
        for path, found in reached(inner, name, value):
            yield Part(f"the closure's {path!r}", found, outside=path != name)
    for path, found in globals_of(inner, function.__globals__):
        yield Part(f"the global {path!r}", found, outside=True)
    for path, found in imports(inner, function.__globals__):
        yield Part(f"the import of {path!r}", found, outside=True)


def _code_parts(code: CodeType) -> Iterator[Part]:
    for name in _CODE:
        yield Part(name, getattr(code, name))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code_parts(constant)
        else:
            yield Part("a constant", constant)


def module_parts(module: ModuleType) -> Iterator[Part]:
    """Content of a module.

    A library counts by its name; a user's module by its file and all attributes.
    """
    yield Part("its name", module.__name__)
    if not is_own_module(module):
        return
    file = getattr(module, "__file__", None)
    if file and Path(file).is_file():
        yield Part("its file", Path(file).read_bytes(), outside=True)
    for name, value in sorted(vars(module).items()):
        # `eval` in a module is no content; a function that calls it has no digest.
        if name not in _IMPORTED and not is_dynamic(value):
            yield Part(f"the {name!r} of {module.__name__}", value, outside=True)


def class_parts(cls: type[Any]) -> Iterator[Part]:
    """Content of a user's class: its bases and everything in its body."""
    yield Part("the bases", list(cls.__bases__))
    yield Part("the metaclass", type(cls))
    for name, item in sorted(vars(cls).items()):
        if name in _MACHINERY:
            continue
        if type(item).__name__ in ("member_descriptor", "getset_descriptor"):
            yield Part(name, "a slot")
        elif isinstance(item, functools.cached_property):
            yield Part(f"the property {name!r}", item.func)
        elif isinstance(item, property):
            yield Part(f"the property {name!r}", [item.fget, item.fset, item.fdel])
        elif isinstance(item, staticmethod | classmethod):
            yield Part(f"the method {name!r}", [type(item).__name__, item.__func__])
        else:
            yield Part(f"{name!r} of the class {cls.__qualname__}", item)
