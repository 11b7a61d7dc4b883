"""Functions, classes and modules as what they do: their code, and what it refers to."""

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

# Of a code object: what it does, without where it was written.
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
# Of a class: what Python and abc add, which says nothing of its own.
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
# Of a module: what the import system adds.
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
    """A part of something, by a name that a message can say.

    `outside` says that others hold it too, and may change it: a global, a module, a class. What is `droppable` counts
    if it can be told, and is left out otherwise.
    """

    name: str
    value: Any
    outside: bool = False
    droppable: bool = False


def is_importable(value: Any) -> bool:
    """Whether a function or class of a library is what its module holds under its name."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
    if not is_library(module):
        return False
    found: Any = sys.modules.get(str(module))
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is value


def function_parts(function: FunctionType) -> Iterator[Part]:
    """What a function does: its code, defaults, closure, and the globals that it names."""
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
    """What the code reaches by name: the closure, globals, and modules that it imports itself."""
    if is_library(function.__globals__.get("__name__")):
        # A wrapper that a library made: told by its code and what it wraps, for the rest is the library's.
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
    """A library by its name; a module of the user's by its file and all that it holds."""
    yield Part("its name", module.__name__)
    if not is_own_module(module):
        return
    file = getattr(module, "__file__", None)
    if file and Path(file).is_file():
        yield Part("its file", Path(file).read_bytes(), outside=True)
    for name, value in sorted(vars(module).items()):
        # Of `eval` itself, a module holds nothing: the functions that call it are asked.
        if name not in _IMPORTED and not is_dynamic(value):
            yield Part(f"the {name!r} of {module.__name__}", value, outside=True)


def class_parts(cls: type[Any]) -> Iterator[Part]:
    """What a class of the user's does: its bases and everything in its body."""
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
