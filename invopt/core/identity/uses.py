"""Objects that code reaches by name.

They are globals, attributes of modules, and modules as a whole.
"""

from __future__ import annotations

import builtins
import dis
import importlib
import importlib.util
import runpy
import sys
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from types import CodeType, ModuleType
from typing import Any, NamedTuple

from invopt.core.identity.library import is_library, is_own_module

__all__ = ["Missing", "codes", "globals_of", "imports", "is_dynamic", "reached"]

_Found = tuple[str, Any]
_IMPORTERS = (importlib.import_module, builtins.__import__)
# Objects that these reach are named by texts or data, which the code does not show.
_DYNAMIC = {
    id(item)
    for item in (*_IMPORTERS, eval, exec, globals, sys.modules, sys._getframe, runpy.run_path, runpy.run_module)
}
_HIDDEN = {"__globals__", "f_globals", "f_builtins", "__builtins__"}
_TAKEN = ("LOAD_ATTR", "LOAD_METHOD", "STORE_ATTR", "DELETE_ATTR")
# Operations that begin with LOAD and load no variable.
_NO_VARIABLE = ("ATTR", "METHOD", "CONST", "CLOSURE", "SMALL_INT", "SPECIAL", "ASSERTION_ERROR", "BUILD_CLASS")
_GLOBAL = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")


class Missing(Enum):
    """Stands for an attribute or a module that does not exist."""

    ATTRIBUTE = 0
    MODULE = 1


class _Use(NamedTuple):
    """Chain of attributes read from a name, and the instructions that follow."""

    chain: tuple[str, ...]
    after: Sequence[dis.Instruction]


def is_dynamic(value: Any) -> bool:
    """Return whether this reaches objects by text or data, as `eval` and `globals` do."""
    return id(value) in _DYNAMIC


def codes(code: CodeType) -> Iterator[CodeType]:
    """Yield a code object and those inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


@lru_cache(maxsize=64)
def _steps(code: CodeType) -> list[dis.Instruction]:
    return [step for step in dis.get_instructions(code) if step.opname != "EXTENDED_ARG"]


def globals_of(inner: Sequence[CodeType], space: Mapping[str, Any]) -> Iterator[_Found]:
    """Yield the globals that code loads, by path.

    Builtins are included only if they reach objects by text.
    """
    found = space.get("__builtins__", {})
    builtin = vars(found) if isinstance(found, ModuleType) else found
    named = {name for code in inner for name in code.co_names}
    for name in sorted(named):
        value = space.get(name, builtin.get(name))
        if (name in space or is_dynamic(value)) and any(True for _ in _uses(inner, name, _GLOBAL)):
            yield from reached(inner, name, value, _GLOBAL)
    for name in sorted(named & _HIDDEN):
        yield name, globals


def reached(inner: Sequence[CodeType], name: str, value: Any, kinds: Sequence[str] = ()) -> Iterator[_Found]:
    """Yield what code reaches through a name.

    Of a user's module these are the attributes that it reads, otherwise the object.
    """
    if not (isinstance(value, ModuleType) or is_dynamic(value)):
        yield name, value
        return
    found: dict[str, list[Any]] = {}
    for use in _uses(inner, name, kinds):
        for path, item in _along(name, value, use):
            known = found.setdefault(path, [])
            if not any(item is other for other in known):
                known.append(item)
    for path in sorted(found):
        yield from ((path, item) for item in found[path])


def _along(path: str, value: Any, use: _Use) -> Iterator[_Found]:
    """Follow a chain of attributes as long as each is of a module."""
    for attribute in use.chain:
        if not isinstance(value, ModuleType):
            break
        own = is_own_module(value)
        if attribute == "__dict__" or (own and attribute not in vars(value) and "__getattr__" in vars(value)):
            break
        if not own:
            yield path, value
        path = f"{path}.{attribute}"
        found = vars(value).get(attribute, Missing.ATTRIBUTE)
        if not own and not (isinstance(found, ModuleType) or is_dynamic(found)):
            # A library counts by its name.
            return
        value = found
    if any(value is importer for importer in _IMPORTERS):
        yield from _imported_by_name(path, value, use.after)
    else:
        yield path, value


def _imported_by_name(path: str, importer: Any, after: Sequence[dis.Instruction]) -> Iterator[_Found]:
    """Yield a module that a constant names.

    For any other name, yield the importing function.
    """
    steps = [step for step in after if step.opname not in ("PUSH_NULL", "CACHE")][:2]
    name = steps[0].argval if len(steps) == 2 and steps[0].opname == "LOAD_CONST" else None
    called = len(steps) == 2 and steps[1].opname in ("PRECALL", "CALL")
    if not (called and isinstance(name, str)) or name.startswith("."):
        yield path, importer
        return
    for part in {name.partition(".")[0], name}:
        yield f"{path}({part!r})", _module(part)


def imports(inner: Sequence[CodeType], space: Mapping[str, Any]) -> Iterator[_Found]:
    """Yield what code reaches of the modules that it imports."""
    for code in inner:
        steps = _steps(code)
        for i, step in enumerate(steps):
            if step.opname == "IMPORT_NAME":
                for bound, path, value in _bound(steps, i, space):
                    found = list(reached(inner, bound, value))
                    for name, item in found or [(bound, value)]:
                        yield path + name[len(bound) :], item


def _bound(steps: Sequence[dis.Instruction], i: int, space: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield the variables that an import sets: name, path and value of each."""
    # Two constants are loaded before it: the level of a relative import, and the names imported.
    level, taken = steps[max(i - 2, 0)].argval, steps[max(i - 1, 0)].argval
    name, package = steps[i].argval, space.get("__package__")
    if isinstance(level, int) and level > 0 and package:
        name = importlib.util.resolve_name("." * level + name, package)
    module = _module(name)
    if not taken:
        # Without "as", `import a.b` sets "a".
        top = steps[i + 1].opname.startswith("STORE_")
        stored = next(step for step in steps[i + 1 :] if step.opname.startswith("STORE_"))
        path = name.partition(".")[0] if top else name
        yield _variable(stored), path, _module(path)
        return
    for j in range(i + 1, len(steps) - 1, 2):
        if steps[j].opname != "IMPORT_FROM":
            break
        attribute = steps[j].argval
        value = vars(module).get(attribute) if isinstance(module, ModuleType) else module
        if value is None and isinstance(module, ModuleType):
            value = _module(f"{name}.{attribute}") if is_own_module(module) else name
        if isinstance(module, ModuleType) and not is_own_module(module) and not _is_followed(value):
            value = module
        yield _variable(steps[j + 1]), f"{name}.{attribute}", value


def _is_followed(value: Any) -> bool:
    """Return whether an object of a library counts by more than its name."""
    return is_dynamic(value) or is_own_module(value)


def _variable(step: dis.Instruction) -> str:
    return str(step.argval[0] if isinstance(step.argval, tuple) else step.argval)


def _module(name: str) -> Any:
    """Return a module; a user's module is imported, as the code that names it will do."""
    if name in sys.modules or is_library(name):
        return sys.modules.get(name, name)
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit):  # noqa: BLE001 - whatever a module of the user's raises
        # Code often replaces absent packages by others.
        return [Missing.MODULE, name]


def _uses(inner: Sequence[CodeType], name: str, kinds: Sequence[str]) -> Iterator[_Use]:
    """Yield the places where code loads a variable of this name."""
    for code in inner:
        steps = _steps(code)
        for i, step in enumerate(steps):
            if not _loads(step, name, kinds):
                continue
            # Of two variables loaded at once, the second is on top; `m.k += 1` takes the attribute of a copy.
            last = not isinstance(step.argval, tuple) or step.argval[-1] == name
            first = i + 2 if steps[i + 1].opname == "COPY" and steps[i + 2].opname in _TAKEN else i + 1
            j = first
            while last and j < len(steps) and steps[j].opname in _TAKEN:
                j += 1
            yield _Use(tuple(str(taken.argval) for taken in steps[first:j]), steps[j : j + 4])


def _loads(step: dis.Instruction, name: str, kinds: Sequence[str]) -> bool:
    if kinds:
        return step.opname in kinds and step.argval == name
    kind = step.opname.partition("LOAD_")
    if not kind[1] or any(other in kind[2] for other in _NO_VARIABLE):
        return False
    return name in step.argval if isinstance(step.argval, tuple) else step.argval == name
