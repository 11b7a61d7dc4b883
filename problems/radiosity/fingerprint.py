"""What tells one scene from another: a short text of all that it is made of. Needs an active backend."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from invopt.rendering.loading import Blueprint, parsed
from invopt.rendering.values import renderer

__all__ = ["fingerprint"]


def fingerprint(blueprint: Blueprint) -> str:
    """Hash of every object of a scene as Mitsuba reads it, and of the contents of the files that they name."""
    digest = hashlib.sha256()
    with parsed(blueprint) as (_, state):
        for node in state.nodes:
            _add(digest, [str(node.type), node.props.plugin_name(), node.props.id()])
            # Not a dictionary, and in no order.
            for key in sorted(node.props.keys()):
                _add(digest, [key, _content(key, node.props[key])])
    return digest.hexdigest()[:16]


def _content(key: str, value: Any) -> Any:
    """What a file holds, not where it lies; other properties as they are."""
    if not key.endswith("filename"):
        return value
    found = str(renderer().file_resolver().resolve(str(value)))
    return Path(found).read_bytes() if os.path.isfile(found) else value


def _add(digest: Any, value: Any) -> None:
    """Add a value; each is as long as it says, so that no two lists read alike."""
    mi = renderer()

    if isinstance(value, list | tuple):
        digest.update(f"[{len(value)}".encode())
        for item in value:
            _add(digest, item)
    elif isinstance(value, Mapping):
        _add(digest, [[key, value[key]] for key in sorted(value)])
    elif isinstance(value, bytes | str):
        _add_bytes(digest, value.encode() if isinstance(value, str) else value)
    elif isinstance(value, mi.Properties.ResolvedReference):
        _add_bytes(digest, f"node {value.index()}".encode())
    elif isinstance(value, mi.Properties.Reference):
        _add_bytes(digest, f"reference {value.id()}".encode())
    elif hasattr(value, "matrix"):
        _add(digest, np.array(value.matrix))
    elif isinstance(value, np.ndarray):
        _add(digest, [value.dtype.str, str(value.shape)])
        _add_bytes(digest, np.ascontiguousarray(value).tobytes())
    elif isinstance(value, mi.Bitmap) or hasattr(value, "__array__"):
        # Printed, its numbers are rounded, and most of many are left out.
        _add(digest, np.array(value))
    elif hasattr(value, "traverse"):
        # Nor does an object print the contents of a mesh.
        _add(digest, [str(value), {name: np.array(item) for name, item in dict(mi.traverse(value)).items()}])
    else:
        _add_bytes(digest, repr(value).encode())


def _add_bytes(digest: Any, content: bytes) -> None:
    digest.update(f"<{len(content)}>".encode() + content)
