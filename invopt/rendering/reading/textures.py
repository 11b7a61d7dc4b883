"""Textures written as pictures."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from invopt.exceptions import SceneError
from invopt.rendering.backend import two_threads
from invopt.rendering.values import renderer

__all__ = ["TEXTURE_SUFFIXES", "write_texture"]

TEXTURE_SUFFIXES = (".exr", ".png")
# Numbers per texel that a picture can have.
_CHANNELS = (1, 3)


def write_texture(texels: NDArray[np.float64], label: str, folder: Path, suffix: str) -> Path:
    """Write a texture of shape (rows, columns, 1 or 3) into a folder.

    Needs an active backend. EXR has the numbers as they are. PNG has 8 bits, and is encoded in sRGB as pictures of
    colours are.
    """
    if texels.shape[2] not in _CHANNELS:
        raise SceneError(f"{label!r} has {texels.shape[2]} numbers per texel, and a picture has 1 or 3")
    mi = renderer()

    bitmap = mi.Bitmap(np.ascontiguousarray(texels, dtype=np.float32))
    if suffix == ".png":
        bitmap = bitmap.convert(component_format=mi.Struct.Type.UInt8, srgb_gamma=True)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{re.sub(r'[^0-9A-Za-z]+', '_', label)}{suffix}"
    with two_threads():
        bitmap.write(str(path))
    return path
