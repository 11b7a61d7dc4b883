"""Check of Radiance files (HDR, RGBE).

Mitsuba's reader writes past its memory if such a file is damaged.
"""

from __future__ import annotations

import re
from pathlib import Path

from invopt.exceptions import SceneError

__all__ = ["check_pixels"]

# Widths whose rows may be packed (Radiance, color.c: MINELEN, MAXELEN).
_LEAST_PACKED, _MOST_PACKED = 8, 0x7FFF
# Counts above this are of one repeated byte (Radiance, color.c).
_RUN = 128
# Largest number of pixels that a signed 32-bit integer holds; a header with more is damaged.
_MOST_PIXELS = 2**31 - 1


def check_pixels(path: Path, data: bytes) -> None:
    """Refuse a file with more or fewer pixels than its header says."""
    head = re.search(rb"\n\n-Y[ ](\d{1,10})[ ]\+X[ ](\d{1,10})\n", data)
    if head is None:
        raise SceneError(f"{str(path)!r} is damaged, or not stored row by row from the top left: it has no '-Y h +X w'")
    height, width = int(head[1]), int(head[2])
    if width < 1 or height < 1 or width * height > _MOST_PIXELS:
        raise SceneError(f"{str(path)!r} is damaged: it says it has {width} x {height} pixels")
    place = head.end()
    if not (_LEAST_PACKED <= width <= _MOST_PACKED and data[place : place + 2] == b"\2\2"):
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
    """Position after a packed row; None if there is no valid row."""
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
