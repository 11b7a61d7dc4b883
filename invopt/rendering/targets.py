"""Target pictures: from a file or an array, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invopt.exceptions import SceneError
from invopt.rendering.backend import helping_thread
from invopt.rendering.values import renderer

__all__ = ["as_target", "check_target", "read_target"]

_SUFFIXES = (".exr", ".hdr", ".rgbe", ".pfm", ".png", ".jpg", ".jpeg", ".bmp", ".tga")


def as_target(value: Any) -> Path | NDArray[np.float32]:
    """Path of an existing picture, or a finite float32 array of shape (height, width, 3); copied."""
    if isinstance(value, str | Path):
        path = Path(value)
        if path.suffix.lower() not in _SUFFIXES:
            raise SceneError(f"'target' must be a picture ({', '.join(_SUFFIXES)}): {str(path)!r}")
        if not path.is_file():
            raise SceneError(f"'target' {str(path)!r} does not exist")
        return path.absolute()
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or array.ndim not in (2, 3):
        raise SceneError(
            f"'target' must be a file or an array of real numbers of shape (height, width) or (height, width, 3), "
            f"got {type(value).__name__} of shape {array.shape}, dtype {array.dtype}"
        )
    if array.dtype.kind != "f":
        raise SceneError(f"'target' must hold linear radiance as floats, got dtype {array.dtype}: decode it first")
    return _colour(array.astype(np.float32), "'target'")


def read_target(target: Path | NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear picture of shape (height, width, 3); 8-bit files are decoded from sRGB. Needs an active backend."""
    if not isinstance(target, Path):
        return target
    mi = renderer()

    try:
        with helping_thread():
            bitmap = mi.Bitmap(str(target))
        if bitmap.pixel_format() == mi.Bitmap.PixelFormat.MultiChannel:
            # Layers of a renderer: the picture itself is the one without a name.
            bitmap = dict(bitmap.split()).get("<root>", bitmap)
        bitmap = bitmap.convert(mi.Bitmap.PixelFormat.RGB, mi.Struct.Type.Float32, srgb_gamma=False)
    except RuntimeError as error:
        raise SceneError(f"'target' {str(target)!r} could not be read: {error}") from None
    return _colour(np.array(bitmap, dtype=np.float32), f"'target' {str(target)!r}")


def check_target(picture: NDArray[np.float32], width: int, height: int) -> None:
    """Refuse a target whose size is not the camera's."""
    if picture.shape[:2] != (height, width):
        raise SceneError(
            f"'target' has {picture.shape[1]} x {picture.shape[0]} pixels, but the camera takes {width} x {height}: "
            f"scale one of them"
        )


def _colour(array: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    if array.ndim == 2:
        array = array[:, :, None]
    if array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise SceneError(f"{name} must have 1, 3 or 4 channels, got shape {array.shape}")
    array = np.array(np.broadcast_to(array[:, :, :3], (*array.shape[:2], 3)))
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array).all(axis=2)).sum())
        raise SceneError(
            f"{name} must be finite: {bad} of {array.shape[0] * array.shape[1]} pixels are nan or infinite"
        )
    return array
