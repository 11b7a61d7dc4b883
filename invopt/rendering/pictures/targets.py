"""Target pictures: read from a file or an array, checked, matched with a camera."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invopt.core.validators import as_path, has_masked
from invopt.exceptions import SceneError
from invopt.rendering.backend import two_threads
from invopt.rendering.pictures.picture_files import SUFFIXES, as_seen, check_named, decoded
from invopt.rendering.pictures.stored import ALPHA_TOLERANCE, LUMINANCE, named_channels
from invopt.rendering.values import renderer

__all__ = ["as_picture", "as_picture_path", "as_target", "matched", "read_target"]

# A picture of integers with at least this many different values is taken for one of 8-bit levels; fewer occur in masks
# and test pictures.
_FEWEST_LEVELS = 8


def as_target(value: Any) -> Path | NDArray[np.float32]:
    """Path of a picture, or a finite float32 array of shape (h, w, 1 or 3); copied."""
    if isinstance(value, str | Path):
        return as_picture_path(value, "target")
    picture = as_picture(value)
    if _are_levels(picture):
        raise SceneError(
            f"'target' must hold linear radiance, but holds integers up to {picture.max():g}, as an 8-bit picture "
            f"does: give its file, or decode it from sRGB first"
        )
    return picture


def as_picture_path(value: str | Path, name: str) -> Path:
    """Absolute path of a picture that exists and is complete."""
    path = as_path(name, value)
    if path.suffix.lower() not in SUFFIXES:
        raise SceneError(f"'{name}' must be a picture ({', '.join(SUFFIXES)}): {str(path)!r}")
    if not path.is_file():
        raise SceneError(f"'{name}' {str(path)!r} does not exist")
    check_named(path)
    return path.absolute()


def as_picture(value: Any) -> NDArray[np.float32]:
    """A finite float32 array of shape (h, w, 1 or 3), copied."""
    if has_masked(value):
        raise SceneError(
            "'target' has masked pixels: give Photograph(array), which leaves them out, or a filled array and its "
            "mask, Photograph(array, mask=...)"
        )
    try:
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            # NumPy has no bfloat16.
            value = (value.float() if value.is_floating_point() else value).numpy()
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise SceneError(f"'target' must be a file or an array of real numbers: {error}") from None
    if array.dtype.kind not in "iuf" or array.ndim not in (2, 3):
        raise SceneError(
            f"'target' must be a file or an array of real numbers of shape (height, width) or (height, width, 3), "
            f"got {type(value).__name__} of shape {array.shape}, dtype {array.dtype}"
        )
    if array.ndim == 3 and array.shape[2] not in (1, 3, 4):
        raise SceneError(f"'target' must have 1, 3 or 4 channels, got shape {array.shape}")
    if array.dtype.kind != "f":
        raise SceneError(
            f"'target' must hold linear radiance as floats, got dtype {array.dtype}: decode it first, from sRGB where "
            f"it is an 8-bit picture, or give its file"
        )
    with np.errstate(over="ignore"):
        # A number too large for single precision becomes infinite, and is refused.
        return _checked(array.astype(np.float32), "'target'")


def read_target(target: Path | NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear picture of shape (h, w, 1 or 3).

    8-bit files are decoded from sRGB. Needs an active backend.
    """
    if not isinstance(target, Path):
        return target
    check_named(target)
    mi = renderer()

    pixels = decoded(target)
    try:
        with two_threads():
            bitmap = mi.Bitmap(str(target)) if pixels is None else _encoded(pixels)
        _warn_of_clipping(target, bitmap)
        array = as_seen(target, _linear(bitmap, target)) if pixels is None else _linear(bitmap, target)
    except (RuntimeError, ValueError, MemoryError, IndexError) as error:
        if isinstance(error, SceneError):
            raise
        raise SceneError(f"'target' {str(target)!r} could not be read: {error or type(error).__name__}") from None
    return _checked(array, f"'target' {str(target)!r}")


def matched(picture: NDArray[np.float32], size: tuple[int, int], channels: int) -> NDArray[np.float32]:
    """Return a target in the channels of a camera; raise if they do not match.

    Parameters
    ----------
    picture : ndarray, shape (height, width, 1 or 3)
        Target.
    size : (int, int)
        Width and height of the camera's pictures.
    channels : {1, 3}
        Luminance, or red, green and blue.
    """
    width, height = size
    if picture.shape[:2] != (height, width):
        raise SceneError(
            f"'target' has {picture.shape[1]} x {picture.shape[0]} pixels, but the camera takes {width} x {height}: "
            f"scale one of them, or give Photograph(...), which is averaged down"
        )
    if picture.shape[2] == channels:
        return picture
    if channels == 1:
        luminance: NDArray[np.float32] = (picture @ np.array(LUMINANCE)).astype(np.float32)
        return luminance[:, :, None]
    raise SceneError(
        "'target' has one channel, but the camera takes red, green and blue: give its film pixel_format 'luminance' to "
        "compare luminance, give Photograph(...), which compares it too, or, if what was seen is grey, an array of "
        "three equal channels"
    )


def _encoded(pixels: NDArray[Any]) -> Any:
    bitmap = renderer().Bitmap(pixels)
    bitmap.set_srgb_gamma(True)
    return bitmap


def _linear(bitmap: Any, path: Path) -> NDArray[np.float32]:
    """Channels of a picture: luminance, or red, green, blue; then alpha if present."""
    mi = renderer()

    formats = mi.Bitmap.PixelFormat
    if bitmap.pixel_format() in (formats.XYZ, formats.XYZA):
        bitmap = bitmap.convert(formats.RGB if bitmap.pixel_format() == formats.XYZ else formats.RGBA)
    wanted = named_channels([field.name for field in bitmap.struct_()], f"'target' {str(path)!r}")
    array = np.array(bitmap)
    if array.dtype.kind != "f":
        array = np.array(bitmap.convert(bitmap.pixel_format(), mi.Struct.Type.Float32, srgb_gamma=False))
    return array.astype(np.float32).reshape(*array.shape[:2], -1)[:, :, wanted]


def _warn_of_clipping(path: Path, bitmap: Any) -> None:
    """Warn of saturated pixels in a picture of integers."""
    array = np.array(bitmap)
    if array.dtype.kind != "u":
        return
    array = array.reshape(*array.shape[:2], -1)
    colors = array[:, :, : 3 if array.shape[2] > 2 else 1]
    count = int((colors == np.iinfo(array.dtype).max).any(axis=2).sum())
    if count:
        warnings.warn(
            f"{count} of {colors.shape[0] * colors.shape[1]} pixels of 'target' {path.name!r} are saturated: they were "
            f"at least as bright as the largest value of the file, and bias the fit: give Photograph({path.name!r}), "
            f"which leaves them out, use a shorter exposure, or an EXR, HDR or PFM file",
            UserWarning,
            stacklevel=2,
        )


def _are_levels(picture: NDArray[np.float32]) -> bool:
    """Whether a picture holds the integers of an 8-bit or 16-bit picture."""
    whole = picture.max() >= 2 and picture.min() >= 0 and bool((picture == np.round(picture)).all())
    return whole and np.unique(picture).size >= _FEWEST_LEVELS


def _checked(array: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    """Finite and opaque picture of shape (h, w, 1 or 3)."""
    if array.ndim == 2:
        array = array[:, :, None]
    if 0 in array.shape:
        raise SceneError(f"{name} must have pixels, got shape {array.shape}")
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array).all(axis=2)).sum())
        raise SceneError(
            f"{name} must be finite: {bad} of {array.shape[0] * array.shape[1]} pixels are nan or infinite"
        )
    if array.shape[2] in (2, 4):
        seen = np.abs(array[:, :, -1] - 1.0) <= ALPHA_TOLERANCE
        if not seen.all():
            raise SceneError(
                f"{name} has an alpha channel, and {int((~seen).sum())} of {seen.size} pixels are not opaque: put it "
                f"on its background first, leave that channel out if the background is black, or give Photograph(...), "
                f"which does not compare these pixels"
            )
        array = array[:, :, :-1]
    return np.ascontiguousarray(array)
