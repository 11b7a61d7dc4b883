"""Arrays as bytes of a journal, exact: single precision where that loses nothing, compressed where that is cheap."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["decode", "encode"]

# Bytes a second that zlib's fastest level takes, roughly, and the share of an evaluation's time that it may.
_SPEED, _SHARE = 4e7, 0.02


def encode(array: NDArray[np.floating], seconds: float) -> tuple[str, bytes]:
    """Coding and bytes of a vector whose evaluation took so long.

    The coding says the dtype, the dtype stored, and whether bytes of equal weight stand together, compressed.
    """
    stored = array
    if array.dtype == np.float64:
        with np.errstate(over="ignore", invalid="ignore"):
            single = array.astype(np.float32)
        # As bits: nan is kept too, as is the sign of zero.
        if np.array_equal(single.astype(np.float64).view(np.int64), array.view(np.int64)):
            stored = single
    plain = np.ascontiguousarray(stored)
    coding = f"{array.dtype.str} {plain.dtype.str}"
    if plain.nbytes > _SHARE * seconds * _SPEED:
        return f"{coding} plain", plain.tobytes()
    planes = plain.view(np.uint8).reshape(-1, plain.itemsize).T
    return f"{coding} zlib", zlib.compress(planes.tobytes(), 1)


def decode(coding: str, data: bytes) -> NDArray[np.floating]:
    """The vector that `encode` was given; ValueError or zlib.error for bytes that it did not make."""
    dtype, stored, how = coding.split()
    kind = np.dtype(stored)
    if how == "zlib":
        planes = np.frombuffer(zlib.decompress(data), np.uint8).reshape(kind.itemsize, -1)
        data = planes.T.tobytes()
    # A copy: bytes lie anywhere in memory, and sums over unaligned numbers may differ in the last bits.
    return np.frombuffer(data, kind).astype(np.dtype(dtype))
