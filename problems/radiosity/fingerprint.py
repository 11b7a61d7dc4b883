"""What tells one scene from another: a short text of all that describes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import attrs
import numpy as np

from invopt.rendering.dictionaries import Description, plain
from invopt.rendering.values import renderer

__all__ = ["fingerprint"]


def fingerprint(scene: Description | str, variables: Mapping[str, str]) -> str:
    """Name of a scene, or a hash of what describes it, the contents of files that it names among it.

    Callables are called, which may need an active backend.
    """
    if isinstance(scene, str):
        return scene
    digest = hashlib.sha256(json.dumps(dict(variables), sort_keys=True).encode())
    if isinstance(scene, Path):
        kind = scene.name
        _add_xml(digest, scene, variables)
    else:
        kind = "dict"
        _add(digest, plain(scene()) if callable(scene) else scene, "")
    return f"{kind}:{digest.hexdigest()[:16]}"


def _add_xml(digest: Any, path: Path, variables: Mapping[str, str]) -> None:
    text = path.read_bytes()
    digest.update(text)
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        # Mitsuba will say so better.
        return
    defaults = {node.get("name", ""): node.get("value", "") for node in root.iter("default")}
    for node in root.iter():
        named = node.get("filename" if node.tag == "include" else "value")
        if named is None or (node.tag != "include" and node.get("name") != "filename"):
            continue
        for name, value in sorted((defaults | dict(variables)).items(), reverse=True):
            named = named.replace(f"${name}", value)
        found = path.parent / named
        if node.tag == "include" and found.is_file():
            _add_xml(digest, found, variables)
        else:
            _add_file(digest, found)


def _add_file(digest: Any, path: Path) -> None:
    if path.is_file():
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())


def _add(digest: Any, value: Any, key: str) -> None:
    if isinstance(value, Mapping):
        for name in sorted(value):
            digest.update(name.encode())
            _add(digest, value[name], name)
    elif isinstance(value, np.ndarray):
        digest.update(str(value.dtype).encode() + str(value.shape).encode() + np.ascontiguousarray(value).tobytes())
    elif attrs.has(type(value)):
        _add(digest, attrs.asdict(value, recurse=False), "")
    elif hasattr(value, "traverse"):
        # An object of Mitsuba's: what it prints leaves out the contents of a mesh.
        digest.update(str(value).encode())
        for name, item in sorted(dict(renderer().traverse(value)).items()):
            _add(digest, {name: np.array(item)}, "")
    else:
        digest.update(repr(value).encode())
        if key == "filename":
            _add_file(digest, Path(str(value)))
