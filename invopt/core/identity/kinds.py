"""Kinds of values, and the parts that each consists of."""

from __future__ import annotations

import copyreg
import functools
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from enum import Enum
from types import (
    BuiltinFunctionType,
    FunctionType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any, NamedTuple

import numpy as np
import torch

from invopt.core.identity.code import Part, class_parts, function_parts, is_importable, module_parts
from invopt.core.identity.library import is_library
from invopt.core.identity.names import reference
from invopt.core.identity.uses import Missing

__all__ = ["Described", "described", "leaf"]

_SLOT_TYPES = ("method_descriptor", "wrapper_descriptor", "method-wrapper", "classmethod_descriptor")
# Attributes that libraries set and that are not content: of masked arrays besides data, mask and fill value; of memory
# maps about their files; of elements of an Enum about their class.
_MASKED = {"_mask", "_fill_value", "_hardmask", "_sharedmask", "_isfield", "_baseclass", "_basedict", "_optinfo"}
_OF_LIBRARIES = {np.ma.MaskedArray: _MASKED, np.memmap: {"_mmap", "filename", "offset", "mode"}, Enum: {"__objclass__"}}


class Described(NamedTuple):
    """Kind of a value and its parts; `unordered` if their order does not count."""

    kind: str
    parts: Iterable[Part]
    unordered: bool = False


def leaf(value: Any) -> bytes | None:
    """Return a value without parts as bytes that begin with its kind.

    None for any other value.
    """
    if value is None or value is Ellipsis or value is NotImplemented or type(value) in (bool, int, str, bytes):
        content = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
        return type(value).__name__.encode() + b"\0" + content
    if type(value) is float:
        return b"float\0" + struct.pack("<d", value)
    if type(value) is complex:
        return b"complex\0" + struct.pack("<dd", value.real, value.imag)
    if type(value).__module__ == "numpy" and isinstance(value, np.generic) and value.dtype.kind in "biufcSUmM":
        return f"numpy {value.dtype.str}\0".encode() + value.tobytes()
    if type(value) is np.ndarray and not value.dtype.hasobject:
        return f"array {value.dtype!r} {value.shape}\0".encode() + np.ascontiguousarray(value).tobytes()
    if type(value) in (torch.Tensor, torch.nn.Parameter) and not vars(value) and _is_plain(value):
        return _tensor(value)
    if isinstance(value, torch.dtype | torch.device | torch.layout | np.dtype):
        return f"{type(value).__name__}\0{value!r}".encode()
    return None


def described(value: Any) -> Described | None:
    """Return kind and parts of a value; None if its content cannot be determined."""
    if hasattr(type(value), "identity_content"):
        return Described(f"content of {reference(type(value))}", [Part("its content", value.identity_content())])
    return _of_container(value) or _of_array(value) or _of_code(value) or _of_object(value)


def _is_plain(value: torch.Tensor) -> bool:
    return value.layout == torch.strided and not value.is_quantized and not value.is_meta


def _tensor(value: torch.Tensor) -> bytes:
    whole = value.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
    content = whole.view(torch.uint8).numpy().tobytes() if whole.numel() else b""
    kind = type(value).__name__
    return f"tensor {kind} {value.dtype} {tuple(value.shape)} {value.requires_grad}\0".encode() + content


def _of_container(value: Any) -> Described | None:
    kind = type(value)
    if kind in (list, tuple, set, frozenset):
        parts = [Part(f"element {i}", item) for i, item in enumerate(value)]
        return Described(kind.__name__, parts, unordered=kind in (set, frozenset))
    if kind is dict:
        return Described("dict", [Part(f"entry {pair[0]!r}", list(pair)) for pair in value.items()])
    if kind is MappingProxyType:
        return Described("mappingproxy", [Part("what it shows", dict(value))])
    if kind is ContextVar:
        held = value.get(Missing.ATTRIBUTE)
        return Described("context variable", [Part("its name", value.name), Part("its value", held)])
    if isinstance(value, Enum):
        parts = [Part("its class", kind), Part("its name", value.name)]
        return Described("enum", [*parts, *_attributes(value)])
    return None


def _of_array(value: Any) -> Described | None:
    """Arrays and tensors of subclasses or with attributes."""
    kind = Part("the class", type(value))
    if isinstance(value, np.ndarray):
        plain = value.view(np.ndarray)
        listed = list(plain.reshape(-1)) if plain.dtype.hasobject else plain
        parts = [kind, Part("its shape", plain.shape), Part("its elements", listed)]
        if isinstance(value, np.ma.MaskedArray):
            parts.append(Part("its mask", np.ma.getmaskarray(value).view(np.ndarray)))
            parts.append(Part("what fills it", np.asarray(value.fill_value)))
        return Described("array", [*parts, *_attributes(value)])
    if isinstance(value, torch.Tensor) and _is_plain(value):
        if type(value).__torch_dispatch__ is not torch.Tensor.__torch_dispatch__:
            # It wraps other tensors, and has no elements itself.
            return None
        return Described(
            "tensor", [kind, Part("its elements", _tensor(value.as_subclass(torch.Tensor))), *_attributes(value)]
        )
    return None


def _of_code(value: Any) -> Described | None:
    """Functions, methods, classes, modules."""
    if isinstance(value, MethodType):
        return Described("method", [Part("its object", value.__self__), Part("its function", value.__func__)])
    if isinstance(value, functools._lru_cache_wrapper):
        parts = [Part("the function", value.__wrapped__), Part("how", value.cache_parameters())]
        return Described("cached function", parts)
    if isinstance(value, FunctionType | type) and is_importable(value):
        return Described("library", [Part("its name", reference(value))])
    if isinstance(value, FunctionType):
        if value.__globals__.get("__name__") == "functools" and hasattr(value, "registry"):
            # Its closure holds caches and weak references to classes, which are no content.
            return Described("function by class", [Part("its functions", dict(value.registry))])
        return Described("function", function_parts(value))
    if isinstance(value, type):
        return Described("class", class_parts(value))
    if isinstance(value, ModuleType):
        return Described("module", module_parts(value))
    if isinstance(value, BuiltinFunctionType):
        owner = value.__self__
        whose = owner.__name__ if isinstance(owner, ModuleType) else owner
        return Described("builtin", [Part("its owner", whose), Part("its name", value.__qualname__)])
    if type(value).__name__ in _SLOT_TYPES:
        owner = getattr(value, "__self__", None)
        return Described("descriptor", [Part("its owner", owner), Part("its name", reference(value))])
    return None


def _of_object(value: Any) -> Described | None:
    """Content of an object: its class, and its state as pickle has them.

    If the class is a user's, all attributes belong to the content.
    """
    try:
        reduce: Any = copyreg.dispatch_table.get(type(value), lambda item: item.__reduce_ex__(4))
        reduced = reduce(value)
    except Exception:  # noqa: BLE001 - whatever a class of the user's raises
        return None
    if isinstance(reduced, str):
        home = _home(value, reduced)
        return None if home is None else Described("name", [Part("its name", reduced), Part("its module", home)])
    parts = list(_reduced_parts(reduced, reference(type(value))))
    if not is_library(type(value).__module__):
        # Attributes that its pickled form leaves out count if they have a digest; a lock does not.
        parts += [Part("the class", type(value)), *(part._replace(droppable=True) for part in _attributes(value))]
    return Described("object", parts)


def _attributes(value: Any) -> Iterator[Part]:
    """Attributes of an instance, including those in slots."""
    held: Mapping[str, Any] = getattr(value, "__dict__", {})
    ignored = {name for cls, names in _OF_LIBRARIES.items() if isinstance(value, cls) for name in names}
    for name, item in held.items():
        if name not in ignored:
            yield Part(f"the attribute {name!r}", [name, item])
    for cls in type(value).__mro__:
        if is_library(cls.__module__):
            continue
        for name, item in vars(cls).items():
            if isinstance(item, MemberDescriptorType):
                yield Part(f"the attribute {name!r}", [name, getattr(value, name, None)])


def _home(value: Any, name: str) -> str | None:
    """Return the module that holds an object under a name; None if there is none."""
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
