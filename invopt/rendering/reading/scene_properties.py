"""Exact content of a property of an object, by the type that Mitsuba declares."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from invopt.exceptions import IdentityError
from invopt.rendering.reading import keys
from invopt.rendering.values import renderer

__all__ = ["property_content"]

# Parameters of a mesh that belong to another object, and describe it completely.
_COMPLETE = {keys.of(keys.BSDF, keys.REFLECTANCE)}


def property_content(props: Any, key: str) -> list[Any]:
    """Type and value of a property as numbers, texts, arrays and lists.

    Files count by content.
    """
    kind = props.type(key).name
    read = _READERS.get(kind)
    if read is None:
        raise _refused(props[key], key)
    return [kind, read(key, props[key])]


def _itself(key: str, value: Any) -> Any:
    if not isinstance(value, bool | int | float):
        raise _refused(value, key)
    return value


def _text(key: str, value: Any) -> str | bytes:
    """Text, or the content of the file that a property names."""
    if not key.endswith("filename"):
        return str(value)
    found = str(renderer().file_resolver().resolve(str(value)))
    return Path(found).read_bytes() if os.path.isfile(found) else str(value)


def _components(key: str, value: Any) -> Any:
    # Not by attributes: those of Dr.Jit's arrays are components in any order, and `matrix` looks like six of them.
    return np.array(value)


def _transform(key: str, value: Any) -> Any:
    return [np.array(value.matrix), np.array(value.inverse_transpose)]


def _spectrum(key: str, value: Any) -> Any:
    return [value.is_uniform(), np.array(value.wavelengths), np.array(value.values)]


def _other(key: str, value: Any) -> Any:
    """Tensors, and arrays of the active variant."""
    import drjit as dr

    if dr.is_array_v(value):
        return [type(value).__name__, np.array(value)]
    if "AffineTransform" in type(value).__name__:
        return [type(value).__name__, _transform(key, value)]
    raise _refused(value, key)


def _object(key: str, value: Any) -> Any:
    mi = renderer()

    if isinstance(value, mi.Bitmap):
        how = [
            str(value.pixel_format()),
            str(value.component_format()),
            value.srgb_gamma(),
            value.premultiplied_alpha(),
        ]
        return ["bitmap", how, np.array(value)]
    if isinstance(value, mi.VolumeGrid):
        return ["volume", value.channel_count(), value.max(), list(value.max_per_channel()), np.array(value)]
    if isinstance(value, mi.Mesh):
        return _mesh(key, value)
    raise _refused(value, key)


def _mesh(key: str, mesh: Any) -> Any:
    """A mesh by its buffers, with a diffuse material or none.

    Other materials cannot be read completely.
    """
    held = dict(renderer().traverse(mesh))
    others = (mesh.emitter(), mesh.sensor(), mesh.interior_medium(), mesh.exterior_medium())
    foreign = {name for name in held if "." in name} - _COMPLETE
    material = mesh.bsdf()
    if foreign or any(other is not None for other in others):
        raise _refused(mesh, key)
    if material is not None and material.class_name() != "SmoothDiffuse":
        raise _refused(material, key)
    how = [mesh.class_name(), mesh.has_face_normals(), mesh.has_flipped_normals(), str(material).partition("value")[0]]
    return ["mesh", how, {name: np.array(item) for name, item in sorted(held.items())}]


def _reference(key: str, value: Any) -> Any:
    return value.id()


def _node(key: str, value: Any) -> Any:
    return value.index()


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "Bool": _itself,
    "Integer": _itself,
    "Float": _itself,
    "String": _text,
    "Vector": _components,
    "Color": _components,
    "Transform": _transform,
    "Spectrum": _spectrum,
    "Reference": _reference,
    "ResolvedReference": _node,
    "Object": _object,
    "Any": _other,
}


def _refused(value: Any, key: str) -> IdentityError:
    return IdentityError(
        f"{key!r} of the scene is a {type(value).__name__} whose content cannot be read: describe it by a dictionary "
        f"or a file, or give identity='...', a name that you change whenever the problem changes"
    )
