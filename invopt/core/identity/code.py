"""Functions, classes and modules as what they do: their code, and what it refers to."""

from __future__ import annotations

import dis
import functools
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

from invopt.core.identity.library import is_library

__all__ = ["ModuleUse", "Part", "class_parts", "function_parts", "is_importable", "module_parts"]

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


class Part(NamedTuple):
    """A part of something, by a name that a message can say."""

    name: str
    value: Any


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
    attributes = {name for inner in _codes(code) for name in inner.co_names}
    yield from _code_parts(code)
    yield Part("the defaults", [function.__defaults__, function.__kwdefaults__])
    yield Part("the attributes", function.__dict__)
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield Part(f"the closure's {name!r}", _as_used(cell.cell_contents, attributes))
        except ValueError:
            yield Part(name, "an empty cell")
    yield from _named_globals(function, attributes)


def _code_parts(code: CodeType) -> Iterator[Part]:
    for name in _CODE:
        yield Part(name, getattr(code, name))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code_parts(constant)
        else:
            yield Part("a constant", constant)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A code object and those inside."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _named_globals(function: FunctionType, attributes: set[str]) -> Iterator[Part]:
    """Globals by the names that the code loads, and modules that it imports itself."""
    codes = list(_codes(function.__code__))
    steps = [step for code in codes for step in dis.get_instructions(code)]
    loaded = {str(step.argval) for step in steps if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    for name in sorted(loaded & function.__globals__.keys()):
        yield Part(f"the global {name!r}", _as_used(function.__globals__[name], attributes))
    for name in sorted({name for code in codes for name in _imported(code, function)}):
        yield Part(f"the import of {name!r}", _loaded(name, attributes))


def _imported(code: CodeType, function: FunctionType) -> Iterator[str]:
    """Modules that the code itself imports, by their full names."""
    steps = list(dis.get_instructions(code))
    for i, step in enumerate(steps):
        if step.opname != "IMPORT_NAME":
            continue
        # Two constants are loaded before it: how many folders up, and what is taken from there.
        level, package = steps[max(i - 2, 0)].argval, function.__globals__.get("__package__")
        relative = isinstance(level, int) and level > 0 and package
        yield importlib.util.resolve_name("." * level + step.argval, package) if relative else step.argval


def _loaded(name: str, attributes: set[str]) -> Any:
    module = sys.modules.get(name)
    if module is not None:
        return _as_used(module, attributes) if _is_own_module(module) else name
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return name
    origin = None if spec is None or is_library(name) else spec.origin
    return [name, Path(origin).read_bytes()] if origin and Path(origin).is_file() else name


class ModuleUse(NamedTuple):
    """A module of the user's, as far as code takes attributes of these names."""

    module: ModuleType
    names: set[str]


def _as_used(value: Any, names: set[str]) -> Any:
    """A value as code that takes attributes of these names sees it."""
    return ModuleUse(value, names) if _is_own_module(value) else value


def _is_own_module(value: Any) -> bool:
    return isinstance(value, ModuleType) and not is_library(value.__name__)


def module_parts(value: ModuleType | ModuleUse) -> Iterator[Part]:
    """A library by its name; a module of the user's by what is taken of it, or by its file."""
    if isinstance(value, ModuleType):
        yield Part("its name", value.__name__)
        file = getattr(value, "__file__", None)
        if not is_library(value.__name__) and file and Path(file).is_file():
            yield Part("its file", Path(file).read_bytes())
        return
    module, names = value
    yield Part("its name", module.__name__)
    for name in sorted(names & vars(module).keys()):
        yield Part(f"the {name!r} of {module.__name__}", _as_used(vars(module)[name], names))


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
