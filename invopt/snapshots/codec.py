"""Values of a snapshot as JSON and tensors, and back.

A file is checked as a whole before use.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Any

import attrs
import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from invopt.core.identity.names import reference
from invopt.exceptions import CheckpointError
from invopt.snapshots.classes import Classes

__all__ = ["check", "decode", "encode"]

_SEQUENCES = {"tuple": tuple, "list": list, "deque": deque}


def encode(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Encode a value as JSON; its tensors are added to `tensors`."""
    if isinstance(value, Enum):
        return {"kind": "enum", "class": reference(type(value)), "value": value.name}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Tensor):
        return {"kind": "tensor", "value": _store(value, tensors), "cpu": value.device.type == "cpu"}
    if isinstance(value, np.ndarray):
        return {"kind": "array", "value": _store(torch.from_numpy(np.ascontiguousarray(value)), tensors)}
    if isinstance(value, csr_matrix):
        parts = [encode(part, tensors) for part in (value.data, value.indices, value.indptr)]
        return {"kind": "csr", "value": parts, "shape": [int(size) for size in value.shape]}
    if isinstance(value, dict):
        items = [[encode(key, tensors), encode(item, tensors)] for key, item in value.items()]
        return {"kind": "dict", "value": items}
    if isinstance(value, tuple | list | deque):
        return _encode_sequence(value, tensors)
    if attrs.has(type(value)) and not any(callable(getattr(value, item.name)) for item in attrs.fields(type(value))):
        parts = [[item.name, encode(getattr(value, item.name), tensors)] for item in attrs.fields(type(value))]
        return {"kind": "attrs", "class": reference(type(value)), "value": parts}
    raise CheckpointError(f"a run whose state holds a {type(value).__name__} cannot be kept: leave out 'checkpoint'")


def _encode_sequence(value: Any, tensors: dict[str, Tensor]) -> dict[str, Any]:
    named = hasattr(value, "_fields")
    found: dict[str, Any] = {"kind": "named" if named else type(value).__name__}
    found["value"] = [encode(item, tensors) for item in value]
    if named:
        found["class"] = reference(type(value))
    if isinstance(value, deque):
        found["maxlen"] = value.maxlen
    return found


def _store(tensor: Tensor, tensors: dict[str, Tensor]) -> str:
    name = f"t{len(tensors)}"
    tensors[name] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    return name


def check(value: Any, tensors: dict[str, Tensor], classes: Classes) -> None:
    """Refuse a value that `encode` did not make, or that names another class."""
    if not isinstance(value, dict):
        if not (value is None or isinstance(value, bool | int | float | str)):
            raise CheckpointError(f"the checkpoint holds a {type(value).__name__} where none is allowed")
        return
    kind, inner = value.get("kind"), value.get("value")
    if kind in ("tensor", "array"):
        if not isinstance(inner, str) or inner not in tensors:
            raise CheckpointError(f"the checkpoint lacks the tensor {inner!r}")
    elif kind == "enum":
        members = getattr(_class(value, classes), "__members__", {})
        if not isinstance(inner, str) or inner not in members:
            raise CheckpointError(f"the checkpoint names {inner!r}, which {value['class']} does not have")
    elif isinstance(kind, str) and kind in ("dict", "attrs", "named", "csr", *_SEQUENCES) and isinstance(inner, list):
        _check_parts(value, classes)
        for item in inner:
            for part in item if kind in ("dict", "attrs") else [item]:
                check(part, tensors, classes)
    else:
        raise CheckpointError(f"the checkpoint holds a value of the unknown kind {kind!r}")


def _check_parts(value: dict[str, Any], classes: Classes) -> None:
    """Refuse a composite whose parts are not those of its class."""
    kind, inner = value["kind"], value["value"]
    fits = True
    if kind in ("dict", "attrs"):
        fits = all(isinstance(item, list) and len(item) == 2 for item in inner)
    if kind == "attrs" and fits:
        cls = _class(value, classes)
        fits = attrs.has(cls) and [item[0] for item in inner] == [item.name for item in attrs.fields(cls)]
    elif kind == "named":
        fits = len(inner) == len(getattr(_class(value, classes), "_fields", ()))
    elif kind == "csr":
        shape = value.get("shape")
        fits = len(inner) == 3 and isinstance(shape, list) and len(shape) == 2
    elif kind == "deque":
        fits = value.get("maxlen") is None or isinstance(value["maxlen"], int)
    if not fits:
        raise CheckpointError(f"the checkpoint holds a {value.get('class', kind)} with other parts than the class has")


def _class(value: dict[str, Any], classes: Classes) -> type[Any]:
    name = value.get("class")
    if not isinstance(name, str) or name not in classes:
        raise CheckpointError(f"{name!r} in the checkpoint is no state of this run's problem, estimator or method")
    return classes[name]


def decode(value: Any, tensors: dict[str, Tensor], classes: Classes, device: torch.device) -> Any:
    """The value that was given to `encode`; `check` must have passed."""
    if not isinstance(value, dict):
        return value
    kind, inner = value["kind"], value["value"]
    if kind == "array":
        return tensors[inner].numpy()
    if kind == "enum":
        return classes[value["class"]][inner]
    if kind == "tensor":
        return tensors[inner] if value["cpu"] else tensors[inner].to(device)
    if kind in ("dict", "attrs"):
        parts = {decode(k, tensors, classes, device): decode(item, tensors, classes, device) for k, item in inner}
        return parts if kind == "dict" else _with_fields(classes[value["class"]], parts)
    items = [decode(item, tensors, classes, device) for item in inner]
    if kind == "csr":
        return csr_matrix(tuple(items), shape=tuple(value["shape"]))
    if kind == "named":
        return classes[value["class"]](*items)
    return deque(items, maxlen=value["maxlen"]) if kind == "deque" else _SEQUENCES[kind](items)


def _with_fields(cls: type[Any], parts: dict[str, Any]) -> Any:
    made = object.__new__(cls)
    for name, part in parts.items():
        object.__setattr__(made, name, part)
    return made
