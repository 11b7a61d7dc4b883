"""Scenes as users give them: files, dictionaries, callables; and dictionaries that can be pickled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from invopt.exceptions import SceneError
from invopt.rendering.meshes import Mesh
from invopt.rendering.values import renderer

__all__ = ["Description", "as_description", "live", "plain"]

# A file, a dictionary, or what builds the dictionary once a backend is active.
Description = Path | dict[str, Any] | Callable[[], dict[str, Any]]


def as_description(value: Any) -> Description:
    """Return a file's absolute path, a copy of a dictionary that can be pickled, or the callable."""
    if isinstance(value, str | Path):
        path = Path(value)
        if not path.is_file():
            raise SceneError(f"'scene' {str(path)!r} does not exist")
        return path.absolute()
    if isinstance(value, Mapping):
        copied: dict[str, Any] = plain(value)
        return copied
    if callable(value):
        described: Description = value
        return described
    raise TypeError(f"'scene' must be an XML file, a dictionary or a callable that makes one: {value!r}")


def plain(value: Any, *, raw: bool = False) -> Any:
    """Copy of a dictionary with Mitsuba's transforms and bitmaps as arrays, so that it can be pickled."""
    if isinstance(value, Mapping):
        return {key: plain(item, raw=bool(value.get("raw", False))) for key, item in value.items()}
    if hasattr(value, "matrix") and hasattr(value, "inverse_transpose"):
        return np.array(value.matrix, dtype=np.float64).reshape(4, 4)
    if hasattr(value, "srgb_gamma") and hasattr(value, "pixel_format"):
        encoded = raw and value.srgb_gamma()
        return np.array(value.convert(component_format=renderer().Struct.Type.Float32, srgb_gamma=encoded))
    return value.copy() if isinstance(value, np.ndarray) else value


def live(value: Any, folder: Path, key: str = "") -> Any:
    """The reverse of `plain`: arrays become transforms or pixels, meshes become files in `folder`."""
    mi = renderer()

    if isinstance(value, Mapping):
        return {name: live(item, folder, name) for name, item in value.items()}
    if isinstance(value, Mesh):
        path = folder / f"mesh{len(list(folder.iterdir()))}.ply"
        value.write(path)
        return str(path)
    if isinstance(value, np.ndarray):
        if value.shape == (4, 4):
            return mi.ScalarTransform4f(value)
        if key == "bitmap":
            return mi.Bitmap(np.ascontiguousarray(value, dtype=np.float32))
    return value
