"""Radiance files (HDR, RGBE), walked through: Mitsuba's reader writes past its memory where one is damaged."""

from __future__ import annotations

import re
from pathlib import Path

from invopt.exceptions import SceneError

__all__ = ["check_pixels"]

# Widths in which rows may be packed.
_LEAST, _MOST = 8, 0x7FFF
# Counts above this are of one byte repeated.
_RUN = 128
# Pixels beyond which no picture is.
_LARGEST = 2**31 - 1


def check_pixels(path: Path, data: bytes) -> None:
    """Refuse a file whose pixels are not as many as it says, or not packed as they can be."""
    head = re.search(rb"\n\n-Y[ ](\d{1,10})[ ]\+X[ ](\d{1,10})\n", data)
    if head is None:
        raise SceneError(f"{str(path)!r} is damaged, or not stored row by row from the top left: it has no '-Y h +X w'")
    height, width = int(head[1]), int(head[2])
    if width < 1 or height < 1 or width * height > _LARGEST:
        raise SceneError(f"{str(path)!r} is damaged: it says it has {width} x {height} pixels")
    place = head.end()
    if not (_LEAST <= width <= _MOST and data[place : place + 2] == b"\2\2"):
        wanted, found = 4 * width * height, len(data) - place
        if found != wanted:
            raise SceneError(f"{str(path)!r} is damaged: it has {found} bytes of pixels instead of {wanted}")
        return
    for row in range(height):
        after = _after_row(data, place, width)
        if after is None:
            raise SceneError(f"{str(path)!r} is damaged in row {row} of its {height}")
        place = after
    if place != len(data):
        raise SceneError(f"{str(path)!r} is damaged: {len(data) - place} bytes follow its pixels")


def _after_row(data: bytes, place: int, width: int) -> int | None:
    """Where a packed row ends; None if it is none."""
    if data[place : place + 4] != bytes((2, 2, width >> 8, width & 0xFF)):
        return None
    place += 4
    for _ in range(4):
        left = width
        while left > 0:
            if place >= len(data):
                return None
            count = data[place]
            place += 2 if count > _RUN else 1 + count
            count -= _RUN if count > _RUN else 0
            if count == 0 or count > left:
                return None
            left -= count
    return place if place <= len(data) else None
