"""Checkpoints: a run's whole state in one file, from which it goes on as if it had never stopped."""

from __future__ import annotations

import importlib
import json
import os
from collections import deque
from enum import Enum
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from attrs import field, frozen
from scipy.sparse import csr_matrix
from torch import Tensor

from invopt._estimator import Estimate
from invopt._stopping import Point
from invopt._validators import integer
from invopt.exceptions import CheckpointError

__all__ = ["Checkpoint", "Snapshot", "as_checkpoint", "reduced", "restored"]

# 3: all that is counted.
_VERSION = 3

# What of an estimate a checkpoint keeps as it is.
_PLAIN = ("fun", "fun_standard_error", "nfev", "sigma", "spread", "note", "partial")
_TENSORS = ("jac", "standard_error", "x_standard_error")


@frozen(kw_only=True, eq=False)
class Snapshot:
    """State of a run between two iterations.

    Parameters
    ----------
    x : Tensor, shape (n,)
        Where it goes on, in units of `x_scale`.
    memory, state : object
        What the estimator and the method remember.
    rng : dict
        State of the one generator.
    record : dict
        Counts, history and the points that the result and the tolerances need.
    """

    x: Tensor
    memory: Any
    state: Any
    rng: dict[str, Any]
    record: dict[str, Any]


@frozen
class Checkpoint:
    """Where a run is kept, and how often it is written.

    Parameters
    ----------
    path : str or Path
        File, written anew each time and put in place in one go; a safetensors file with a JSON header. A run that finds
        it there goes on from it.
    every : int, default 1000
        Iterations between writings; a run that ends, is interrupted or fails is written too.
    """

    path: Path = field(converter=Path)
    every: int = field(default=1000, validator=integer(1))

    def save(self, snapshot: Snapshot, identity: dict[str, str]) -> None:
        """Write a snapshot and what it is of."""
        from safetensors.torch import save_file

        tensors: dict[str, Tensor] = {}
        body = {item.name: _encode(getattr(snapshot, item.name), tensors) for item in attrs.fields(Snapshot)}
        header = {"version": _VERSION, "identity": identity, "body": body}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            save_file(tensors, temporary, metadata={"invopt": json.dumps(header)})
            os.replace(temporary, self.path)
        finally:
            temporary.unlink(missing_ok=True)

    def load(self, identity: dict[str, str], device: torch.device) -> Snapshot | None:
        """The snapshot that is there, or None; one of another run is an error that says in what it differs."""
        if not self.path.exists():
            return None
        header, tensors = read(self.path)
        for name, value in identity.items():
            if header["identity"].get(name) != value:
                raise CheckpointError(
                    f"checkpoint {str(self.path)!r} is of another {name}: {header['identity'].get(name)} there, "
                    f"{value} here; give another path, or remove it to begin anew"
                )
        return Snapshot(**{name: _decode(value, tensors, device) for name, value in header["body"].items()})

    def check(self, memory: Any, state: Any) -> None:
        """Refuse, before the first evaluation, what cannot be written."""
        if self.path.is_dir():
            raise CheckpointError(f"checkpoint {str(self.path)!r} is a folder: give the name of a file")
        for value in (memory, state):
            _encode(value, {})


def as_checkpoint(value: Any) -> Checkpoint | None:
    """Return a checkpoint as it is, a path as one with the default interval, None as None."""
    if value is None or isinstance(value, Checkpoint):
        return value
    if isinstance(value, str | Path):
        return Checkpoint(value)
    raise TypeError(f"'checkpoint' must be a path or a Checkpoint: {value!r}")


def read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Header and tensors of a file of ours."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("invopt")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dictionary
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{str(path)!r} cannot be read: {error}") from None
    if text is None:
        raise CheckpointError(f"{str(path)!r} was not written by invopt")
    header = json.loads(text)
    if header.get("version") != _VERSION:
        raise CheckpointError(f"{str(path)!r} has version {header.get('version')}, and this invopt reads {_VERSION}")
    return header, tensors


def _encode(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Enum):
        return {"kind": "enum", "class": _name(type(value)), "value": value.name}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Tensor):
        return {"kind": "tensor", "value": _store(value, tensors), "cpu": value.device.type == "cpu"}
    if isinstance(value, np.ndarray):
        return {"kind": "array", "value": _store(torch.from_numpy(np.ascontiguousarray(value)), tensors)}
    if isinstance(value, csr_matrix):
        parts = [_encode(part, tensors) for part in (value.data, value.indices, value.indptr)]
        return {"kind": "csr", "value": parts, "shape": [int(size) for size in value.shape]}
    if isinstance(value, dict):
        items = [[_encode(key, tensors), _encode(item, tensors)] for key, item in value.items()]
        return {"kind": "dict", "value": items}
    if isinstance(value, tuple | list | deque):
        kind = "named" if hasattr(value, "_fields") else type(value).__name__
        found: dict[str, Any] = {"kind": kind, "value": [_encode(item, tensors) for item in value]}
        if kind == "named":
            found["class"] = _name(type(value))
        if isinstance(value, deque):
            found["maxlen"] = value.maxlen
        return found
    if attrs.has(type(value)) and not any(callable(getattr(value, item.name)) for item in attrs.fields(type(value))):
        parts = [[item.name, _encode(getattr(value, item.name), tensors)] for item in attrs.fields(type(value))]
        return {"kind": "attrs", "class": _name(type(value)), "value": parts}
    raise CheckpointError(f"a run that remembers a {type(value).__name__} cannot be kept: leave 'checkpoint' out")


def _store(tensor: Tensor, tensors: dict[str, Tensor]) -> str:
    name = f"t{len(tensors)}"
    tensors[name] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    return name


def _decode(value: Any, tensors: dict[str, Tensor], device: torch.device) -> Any:
    if not isinstance(value, dict):
        return value
    kind, inner = value["kind"], value["value"]
    if kind == "array":
        return tensors[inner].numpy()
    if kind == "enum":
        return _find(value["class"])[inner]
    if kind == "tensor":
        return tensors[inner] if value["cpu"] else tensors[inner].to(device)
    if kind in ("dict", "attrs"):
        parts = {_decode(k, tensors, device): _decode(item, tensors, device) for k, item in inner}
        return parts if kind == "dict" else _restored(_find(value["class"]), parts)
    items = [_decode(item, tensors, device) for item in inner]
    if kind == "csr":
        return csr_matrix(tuple(items), shape=tuple(value["shape"]))
    if kind == "named":
        return _find(value["class"])(*items)
    return deque(items, maxlen=value["maxlen"]) if kind == "deque" else {"tuple": tuple, "list": list}[kind](items)


def _restored(cls: type[Any], parts: dict[str, Any]) -> Any:
    made = object.__new__(cls)
    for name, part in parts.items():
        object.__setattr__(made, name, part)
    return made


def _name(cls: type[Any]) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _find(name: str) -> type[Any]:
    """A class of state, by its name; a file must not make us call anything else."""
    module, _, qualname = name.partition(":")
    found = getattr(importlib.import_module(module), qualname, None) if module.split(".")[0] != "builtins" else None
    if not isinstance(found, type) or not (attrs.has(found) or hasattr(found, "_fields") or issubclass(found, Enum)):
        raise CheckpointError(f"{name!r} in the checkpoint is no state of a run")
    return found


def reduced(point: Point, *, whole: bool) -> dict[str, Any]:
    """What of a point the result and the tolerances need, without what could be asked of its estimate anew."""
    estimate = point.estimate
    kept = {name: getattr(estimate, name) for name in _PLAIN}
    tensors = {"x": point.x} | {name: getattr(estimate, name) for name in _TENSORS}
    kept["unit"] = estimate.unit() if whole and estimate.unit is not None else None
    return kept | {name: tensor if whole else None for name, tensor in tensors.items()}


def restored(kept: dict[str, Any]) -> Point:
    """The point again, as far as it was kept."""
    x, unit = kept["x"] if kept["x"] is not None else torch.empty(0), kept["unit"]
    return Point(x, Estimate(**(kept | {"x": x, "unit": None if unit is None else lambda: unit})))
