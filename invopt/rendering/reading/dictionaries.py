"""Scenes as users give them, and dictionaries that can be pickled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invopt.core.formatting import shown
from invopt.core.machine.turn import one_at_a_time
from invopt.core.validators import as_path, has_masked
from invopt.exceptions import SceneError
from invopt.rendering.meshes import Mesh
from invopt.rendering.values import renderer

__all__ = ["Description", "as_description", "as_variables", "check_variables", "live", "plain"]

# A file, a dictionary, or a function that builds the dictionary when a backend is active.
Description = Path | dict[str, Any] | Callable[[], dict[str, Any]]


def as_description(value: Any) -> Description:
    """Return a file's absolute path, a copy of a dictionary, or the callable."""
    if isinstance(value, str | Path):
        path = as_path("scene", value)
        if not path.is_file():
            raise SceneError(f"'scene' {str(path)!r} {'is not a file' if path.exists() else 'does not exist'}")
        return path.absolute()
    if isinstance(value, Mapping):
        copied: dict[str, Any] = plain(value)
        return copied
    if callable(value):
        described: Description = value
        return described
    raise TypeError(f"'scene' must be an XML file, a dictionary or a callable that makes one: {shown(value)}")


def as_variables(value: Any) -> dict[str, str]:
    """Return the values of an XML file's variables as text, by name."""
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise TypeError(f"'variables' must be a mapping of names to values, such as {{'resx': 128}}: {shown(value)}")
    return {name: str(item) for name, item in value.items()}


def check_variables(variables: Mapping[str, str], scene: object) -> None:
    """Refuse variables of a scene that is not an XML file."""
    if variables and not isinstance(scene, Path):
        raise ValueError(f"'variables' are for an XML file, and 'scene' is not one: {shown(dict(variables))}")


def plain(value: Any, *, raw: bool = False) -> Any:
    """Copy of a dictionary that can be pickled.

    Mitsuba's transforms and bitmaps become arrays.
    """
    if isinstance(value, Mapping):
        return {key: plain(item, raw=bool(value.get("raw", False))) for key, item in value.items()}
    if hasattr(value, "matrix") and hasattr(value, "inverse_transpose"):
        with one_at_a_time():
            return np.array(value.matrix, dtype=np.float64).reshape(4, 4)
    if hasattr(value, "srgb_gamma") and hasattr(value, "pixel_format"):
        encoded = raw and value.srgb_gamma()
        with one_at_a_time():
            return np.array(value.convert(component_format=renderer().Struct.Type.Float32, srgb_gamma=encoded))
    if has_masked(value):
        raise SceneError("'scene' has an array with masked elements, which have no value: fill them")
    return value.copy() if isinstance(value, np.ndarray) else value


def live(value: Any, folder: Path, key: str = "") -> Any:
    """Inverse of `plain`: arrays become transforms or pixels.

    Meshes become files in `folder`.
    """
    mi = renderer()

    if isinstance(value, Mapping):
        return {name: live(item, folder, name) for name, item in value.items()}
    if isinstance(value, Mesh):
        path = folder / f"mesh{len(list(folder.iterdir()))}.ply"
        value.write(path)
        return str(path)
    if isinstance(value, np.ndarray):
        if key == "bitmap":
            return _bitmap(value)
        if value.shape == (4, 4):
            return mi.ScalarTransform4f(value)
    return value


def _bitmap(pixels: NDArray[Any]) -> Any:
    """Bitmap of an array; checked, because one without pixels would end the process."""
    if pixels.dtype.kind not in "biuf" or pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise SceneError(
            f"a 'bitmap' of the scene must be real numbers of shape (rows, columns) or (rows, columns, channels), got "
            f"shape {pixels.shape}, dtype {pixels.dtype}"
        )
    if not np.isfinite(pixels).all():
        raise SceneError(f"a 'bitmap' of the scene must be finite: {int((~np.isfinite(pixels)).sum())} numbers are not")
    return renderer().Bitmap(np.ascontiguousarray(pixels, dtype=np.float32))
