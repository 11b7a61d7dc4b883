"""What a scene is made of: every object that Mitsuba's parser reads, and the contents of the files that they name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from invopt.exceptions import IdentityError
from invopt.rendering.reading.loading import Blueprint, parsed
from invopt.rendering.values import renderer

__all__ = ["scene_content"]


def scene_content(blueprint: Blueprint) -> list[Any]:
    """Objects of a scene as lists of plain values, for `invopt.core.identity.digest`; needs an active backend.

    Parameters
    ----------
    blueprint : Blueprint
        How to load the scene.

    Returns
    -------
    list
        For each object its type, plugin, name and properties; of files what they hold, not where they lie.
    """
    with parsed(blueprint) as (_, state):
        return [_node(node.type, node.props) for node in state.nodes]


def _node(kind: Any, props: Any) -> list[Any]:
    # Not a dictionary, and in no order.
    found = {key: _property(key, props[key]) for key in sorted(props.keys())}
    return [str(kind), props.plugin_name(), props.id(), found]


def _property(key: str, value: Any) -> Any:
    """What a file holds, where a property names one; any other as a plain value."""
    if not key.endswith("filename"):
        return _plain(value)
    found = str(renderer().file_resolver().resolve(str(value)))
    return Path(found).read_bytes() if os.path.isfile(found) else str(value)


def _plain(value: Any) -> Any:
    """A value of Mitsuba's as numbers, texts, arrays and lists of them."""
    mi = renderer()

    if value is None or isinstance(value, bool | int | float | str | bytes | np.ndarray):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(value[key]) for key in sorted(value)}
    if isinstance(value, mi.Properties.ResolvedReference):
        return ["node", value.index()]
    if isinstance(value, mi.Properties.Reference):
        return ["reference", value.id()]
    if hasattr(value, "matrix"):
        return ["transform", np.array(value.matrix)]
    if isinstance(value, mi.Bitmap) or hasattr(value, "__array__"):
        # Printed, its numbers are rounded, and most of many are left out.
        return [type(value).__name__, np.array(value)]
    if hasattr(value, "traverse"):
        # Nor does an object print the contents of a mesh.
        parts = {name: np.array(item) for name, item in dict(mi.traverse(value)).items()}
        return [type(value).__name__, str(value), parts]
    text = repr(value)
    if " at 0x" in text or " object at" in text:
        raise IdentityError(f"a {type(value).__name__} in the scene cannot be told from others by its content")
    return [type(value).__name__, text]
