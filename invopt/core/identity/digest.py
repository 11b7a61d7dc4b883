"""Digest of any value by its content, or an error: nothing is guessed."""

from __future__ import annotations

import copyreg
import hashlib
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch

from invopt.core.identity.code import (
    ModuleUse,
    Part,
    class_parts,
    function_parts,
    is_importable,
    module_parts,
)
from invopt.core.identity.names import reference
from invopt.exceptions import IdentityError

__all__ = ["digest", "digests"]

_SLOT_TYPES = ("method_descriptor", "wrapper_descriptor", "method-wrapper", "classmethod_descriptor")


def digests(parts: Mapping[str, Any]) -> dict[str, str]:
    """Digest of each part, by name."""
    return {name: digest(value, name) for name, value in parts.items()}


def digest(value: Any, name: str = "value") -> str:
    """Hexadecimal digest of a value, the same in every process that holds the same content.

    Parameters
    ----------
    value : object
        Numbers, texts, containers, arrays and tensors whole and exact; functions by their code, defaults, closures and
        the globals that they name; objects by their class and state, as pickle sees it. Functions and classes of
        installed packages are told by name, those of the user by content.
    name : str, default "value"
        What a message calls it.

    Returns
    -------
    str
        32 hexadecimal digits.

    Raises
    ------
    IdentityError
        If it holds something whose content cannot be told: a socket, an open file, a lock, a generator.
    """
    return _Digester(name).of(value).hex()[:32]


class _Digester:
    """Digests of a value and of all that it refers to, each computed once."""

    def __init__(self, name: str) -> None:
        self._path = [name]
        self._known: dict[int, bytes] = {}
        # Objects whose addresses are keys of `_known`: a freed one's address could be another's.
        self._kept: list[Any] = []
        self._open: dict[int, int] = {}

    def of(self, value: Any) -> bytes:
        """Digest of a value; of one that contains itself, by how far up it began."""
        leaf = _leaf(value)
        if leaf is not None:
            return hashlib.sha256(leaf).digest()
        key = id(value)
        if key in self._known:
            return self._known[key]
        if key in self._open:
            return hashlib.sha256(f"cycle {len(self._open) - self._open[key]}".encode()).digest()
        self._open[key] = len(self._open)
        try:
            found = self._composite(value)
        finally:
            del self._open[key]
        self._known[key] = found
        self._kept.append(value)
        return found

    def _composite(self, value: Any) -> bytes:
        kind, parts = self._described(value)
        whole = hashlib.sha256(kind.encode())
        children = []
        for part in parts:
            with self._inside(part.name):
                children.append(self.of(part.value))
        if isinstance(value, set | frozenset):
            children.sort()
        whole.update(f" {len(children)} ".encode())
        for child in children:
            whole.update(child)
        return whole.digest()

    @contextmanager
    def _inside(self, name: str) -> Iterator[None]:
        self._path.append(name)
        yield
        self._path.pop()

    def _described(self, value: Any) -> tuple[str, Iterable[Part]]:
        """Kind of a value, and its parts in an order of their own."""
        if hasattr(value, "identity_content") and not isinstance(value, type):
            return f"content of {reference(type(value))}", [Part("its content", value.identity_content())]
        if (found := _of_container(value) or _of_code(value)) is not None:
            return found
        return self._of_object(value)

    def _of_object(self, value: Any) -> tuple[str, Iterable[Part]]:
        """An object by its class and state, as pickle would take them."""
        try:
            reduce: Any = copyreg.dispatch_table.get(type(value), lambda item: item.__reduce_ex__(4))
            reduced = reduce(value)
        except Exception as error:
            raise self._unknown(value) from error
        if isinstance(reduced, str):
            home = _home(value, reduced)
            if home is None:
                raise self._unknown(value)
            return "name", [Part("its name", reduced), Part("its module", home)]
        return "object", _reduced_parts(reduced, reference(type(value)))

    def _unknown(self, value: Any) -> IdentityError:
        where = self._path[0] + "".join(f", {name}" for name in self._path[1:])
        return IdentityError(
            f"a {type(value).__module__}.{type(value).__qualname__} cannot be told from others by its content "
            f"({where}): keep it out of what is optimised, or give identity='...', a name that you change whenever the "
            f"problem changes"
        )


def _home(value: Any, name: str) -> str | None:
    """The module that holds an object under a name; None if there is none."""
    for module in (getattr(value, "__module__", None), "numpy", "scipy.special"):
        if module is not None and getattr(sys.modules.get(str(module)), name, None) is value:
            return str(module)
    return None


def _reduced_parts(reduced: tuple[Any, ...], name: str) -> Iterator[Part]:
    yield Part(f"what makes a {name}", reduced[0])
    yield Part(f"the arguments of {name}", reduced[1])
    for what, state in zip(("state", "items", "entries", "setter"), reduced[2:6], strict=False):
        kept = list(state) if what in ("items", "entries") and state is not None else state
        yield Part(f"the {what} of {name}", kept)


def _leaf(value: Any) -> bytes | None:
    """A value without parts, as bytes that begin with its kind; None for any other."""
    if value is None or value is Ellipsis or value is NotImplemented or type(value) in (bool, int, str, bytes):
        content = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
        return type(value).__name__.encode() + b"\0" + content
    if type(value) is float:
        return b"float\0" + struct.pack("<d", value)
    if type(value) is complex:
        return b"complex\0" + struct.pack("<dd", value.real, value.imag)
    if isinstance(value, np.generic) and value.dtype.kind in "biufcSUmM":
        return f"numpy {value.dtype.str}\0".encode() + value.tobytes()
    if type(value) is np.ndarray and not value.dtype.hasobject:
        return f"array {value.dtype.descr} {value.shape}\0".encode() + np.ascontiguousarray(value).tobytes()
    if isinstance(value, torch.Tensor) and value.layout == torch.strided:
        return _tensor(value)
    if isinstance(value, torch.dtype | torch.device | torch.layout | np.dtype):
        return f"{type(value).__name__}\0{value!r}".encode()
    return None


def _tensor(value: torch.Tensor) -> bytes:
    whole = value.detach().cpu().contiguous().reshape(-1)
    content = whole.view(torch.uint8).numpy().tobytes() if whole.numel() else b""
    return f"tensor {value.dtype} {tuple(value.shape)} {value.requires_grad}\0".encode() + content


def _of_container(value: Any) -> tuple[str, Iterable[Part]] | None:
    kind = type(value)
    if kind in (list, tuple, set, frozenset):
        return kind.__name__, [Part(f"element {i}", item) for i, item in enumerate(value)]
    if kind is dict:
        return "dict", [Part(f"entry {pair[0]!r}", list(pair)) for pair in value.items()]
    if isinstance(value, np.ma.MaskedArray):
        return "masked array", [Part("its data", np.asarray(value.data)), Part("its mask", np.asarray(value.mask))]
    if isinstance(value, np.ndarray):
        plain = np.asarray(value)
        listed = list(plain.reshape(-1)) if plain.dtype.hasobject else plain
        return f"array {reference(kind)} {plain.shape}", [Part("its elements", listed)]
    if isinstance(value, Enum):
        return "enum", [Part("its class", kind), Part("its name", value.name)]
    return None


def _of_code(value: Any) -> tuple[str, Iterable[Part]] | None:
    """Functions, methods, classes, modules."""
    if isinstance(value, MethodType):
        return "method", [Part("its object", value.__self__), Part("its function", value.__func__)]
    if hasattr(value, "cache_parameters") and hasattr(value, "__wrapped__"):
        return "cached function", [Part("the function", value.__wrapped__), Part("how", value.cache_parameters())]
    if isinstance(value, FunctionType | type) and is_importable(value):
        return "library", [Part("its name", reference(value))]
    if isinstance(value, FunctionType):
        return "function", function_parts(value)
    if isinstance(value, type):
        return "class", class_parts(value)
    if isinstance(value, ModuleType | ModuleUse):
        return "module", module_parts(value)
    if isinstance(value, BuiltinFunctionType):
        owner = value.__self__
        whose = owner.__name__ if isinstance(owner, ModuleType) else owner
        return "builtin", [Part("its owner", whose), Part("its name", value.__qualname__)]
    if type(value).__name__ in _SLOT_TYPES:
        owner = getattr(value, "__self__", None)
        return "descriptor", [Part("its owner", owner), Part("its name", reference(value))]
    return None
