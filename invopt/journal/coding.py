"""Arrays as bytes of a journal, without loss.

They are in single precision if that is exact, and compressed if that is cheap.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["decode", "encode"]

# Bytes that zlib compresses in a second at its fastest level, roughly, and the share of the time of an evaluation that
# compression may take. `tests/benchmarks/test_journal_overhead.py` measures what a journal costs a run.
_BYTES_PER_SECOND, _MAX_SHARE_OF_TIME = 4e7, 0.02


def encode(array: NDArray[np.floating], seconds: float) -> tuple[str, bytes]:
    """Coding and bytes of a vector whose evaluation took `seconds`.

    The coding names the dtype, the dtype stored, and "plain" or "zlib". For zlib, the first bytes of all numbers come
    first, then the second ones and so on: alike bytes compress better.
    """
    stored = array
    if array.dtype == np.float64:
        with np.errstate(over="ignore", invalid="ignore"):
            single = array.astype(np.float32)
        # Compared as bits, so that nan and the sign of zero are kept too.
        if np.array_equal(single.astype(np.float64).view(np.int64), array.view(np.int64)):
            stored = single
    plain = np.ascontiguousarray(stored)
    coding = f"{array.dtype.str} {plain.dtype.str}"
    if plain.nbytes > _MAX_SHARE_OF_TIME * seconds * _BYTES_PER_SECOND:
        return f"{coding} plain", plain.tobytes()
    planes = plain.view(np.uint8).reshape(-1, plain.itemsize).T
    return f"{coding} zlib", zlib.compress(planes.tobytes(), 1)


def decode(coding: str, data: bytes) -> NDArray[np.floating]:
    """The vector that was given to `encode`.

    ValueError or zlib.error for other bytes.
    """
    dtype, stored, how = coding.split()
    kind = np.dtype(stored)
    if how == "zlib":
        planes = np.frombuffer(zlib.decompress(data), np.uint8).reshape(kind.itemsize, -1)
        data = planes.T.tobytes()
    # A copy, which is aligned: sums over unaligned numbers may differ in the last bits.
    return np.frombuffer(data, kind).astype(np.dtype(dtype))
