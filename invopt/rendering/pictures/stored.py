"""Pictures as they are stored: the numbers of a file or an array, and alpha."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from invopt.core.validators import has_masked, plain
from invopt.exceptions import SceneError
from invopt.rendering.backend import two_threads
from invopt.rendering.pictures.picture_files import as_seen, check_named, decoded
from invopt.rendering.values import renderer

__all__ = ["ALPHA_TOLERANCE", "LUMINANCE", "Stored", "as_stored", "named_channels", "read_stored"]

_Names = list[str]


@frozen(eq=False)
class Stored:
    """Numbers of a picture.

    Attributes
    ----------
    pixels : ndarray, shape (height, width, 1 or 3)
        Numbers; integers are divided by their largest value.
    opaque : ndarray of bool, shape (height, width), or None
        Where the picture is opaque; None without alpha.
    unmasked : ndarray of bool, shape (height, width), or None
        Where a masked array has elements; None for others.
    finite : ndarray of bool, shape (height, width)
        Where the numbers were finite; others are 0.
    is_integer : bool
        Whether the numbers were integers.
    """

    pixels: NDArray[np.float32]
    opaque: NDArray[np.bool_] | None
    finite: NDArray[np.bool_]
    is_integer: bool
    unmasked: NDArray[np.bool_] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width, channels."""
        return self.pixels.shape


# How much an opaque alpha channel may differ from 1: half floats, in which EXR files have it, resolve 5e-4 there.
ALPHA_TOLERANCE = 1e-3
# Luminance of linear red, green and blue (Rec. 709), as Mitsuba's films have it.
LUMINANCE = (0.212671, 0.715160, 0.072169)


def as_stored(value: Any, name: str) -> Stored:
    """Return the numbers of an array, which may be masked."""
    mask = np.ma.getmaskarray(value) if isinstance(value, np.ma.MaskedArray) else None
    if mask is None and has_masked(value):
        raise SceneError(f"'{name}' must be one masked array, not a list of them")
    try:
        array = np.asarray(value.filled(0) if isinstance(value, np.ma.MaskedArray) else plain(value))
    except (TypeError, ValueError, RuntimeError) as error:
        raise SceneError(f"'{name}' must be a file or an array of real numbers: {error}") from None
    if array.dtype.kind not in "uf" or array.ndim not in (2, 3) or array.size == 0:
        raise SceneError(
            f"'{name}' must be a file, or an array of floats or unsigned integers of shape (height, width) or (height, "
            f"width, 3): {type(value).__name__} of shape {array.shape}, dtype {array.dtype}"
        )
    if array.ndim == 3 and array.shape[2] not in (1, 3, 4):
        raise SceneError(f"'{name}' must have 1, 3 or 4 channels: shape {array.shape}")
    found = _stored(array.reshape(*array.shape[:2], -1))
    if mask is None:
        return found
    return evolve(found, unmasked=np.asarray(~np.asarray(mask).reshape(*mask.shape[:2], -1).any(axis=2)))


def read_stored(path: Path, layer: str | None = None) -> Stored:
    """Return the numbers of a file, upright; needs an active backend.

    `layer` is the name of a layer of an EXR file.
    """
    check_named(path)
    mi = renderer()

    pixels = decoded(path)
    try:
        if pixels is None:
            with two_threads():
                bitmap = mi.Bitmap(str(path))
            formats = mi.Bitmap.PixelFormat
            if bitmap.pixel_format() in (formats.XYZ, formats.XYZA):
                bitmap = bitmap.convert(formats.RGB if bitmap.pixel_format() == formats.XYZ else formats.RGBA)
            wanted = named_channels([field.name for field in bitmap.struct_()], f"{str(path)!r}", layer)
            array = np.array(bitmap)
            array = as_seen(path, array.reshape(*array.shape[:2], -1)[:, :, wanted])
        else:
            array = pixels.reshape(*pixels.shape[:2], -1)
        return _stored(array)
    except (RuntimeError, ValueError, MemoryError, IndexError) as error:
        if isinstance(error, SceneError):
            raise
        raise SceneError(f"{str(path)!r} could not be read: {error or type(error).__name__}") from None


def named_channels(names: _Names, what: str, layer: str | None = None) -> list[int]:
    """Numbers of the channels of a picture.

    Luminance, or red, green, blue; then alpha if present. Those of a layer have its name before theirs, as in
    "V.Combined.R".
    """
    layers: dict[str, dict[str, int]] = {}
    for number, name in enumerate(names):
        prefix, _, channel = name.rpartition(".")
        layers.setdefault(prefix, {})[channel] = number
    found = {prefix: order for prefix, own in layers.items() if (order := _colors(own))}
    if (layer or "") not in found:
        pictures = [repr(prefix) for prefix in found if prefix]
        advice = f"give Photograph(..., layer=...), one of {', '.join(pictures)}" if pictures else "rename its channels"
        lacks = f"no layer {layer!r} with" if layer else "not"
        raise SceneError(f"{what} has the channels {', '.join(names)}, {lacks} R, G and B, or Y: {advice}")
    return found[layer or ""]


def _colors(channels: dict[str, int]) -> list[int]:
    """Numbers of the channels of a picture in their order; empty if there is none."""
    held = next((kind for kind in ("RGB", "XYZ") if any(name in channels for name in kind)), "")
    color = [name for name in held if name in channels]
    if color not in (["R", "G", "B"], ["Y"]):
        return []
    return [channels[name] for name in [*color, *(["A"] if "A" in channels else [])]]


def _stored(array: NDArray[Any]) -> Stored:
    is_integer = array.dtype.kind in "ui"
    scale = np.iinfo(array.dtype).max if is_integer else 1.0
    numbers = array.astype(np.float64) / scale
    opaque = None
    if numbers.shape[2] in (2, 4):
        opaque = np.abs(numbers[:, :, -1] - 1.0) <= ALPHA_TOLERANCE
        numbers = numbers[:, :, :-1]
    with np.errstate(over="ignore"):
        # A number too large for single precision becomes infinite.
        pixels = numbers.astype(np.float32)
    finite = np.asarray(np.isfinite(pixels).all(axis=2))
    return Stored(np.ascontiguousarray(np.where(finite[:, :, None], pixels, 0.0)), opaque, finite, is_integer)
