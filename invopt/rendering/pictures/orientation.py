"""Orientation of photographs, which cameras store as they were held."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invopt.exceptions import SceneError

__all__ = ["check_orientation", "upright"]

# EXIF tag of the orientation, and its values (Exif 2.3, "Orientation"): for each, whether rows and columns change
# places, and whether rows and columns are then reversed. Some cameras write 0 for "unknown", which is shown as it is.
_TAG = 274
_TURNS = {
    0: (False, False, False),
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


def check_orientation(path: Path, image: Any) -> None:
    """Refuse a picture of Pillow whose orientation EXIF does not define."""
    found = image.getexif().get(_TAG, 1)
    if found not in _TURNS:
        raise SceneError(
            f"{str(path)!r} says that its EXIF orientation is {found!r}, not one of 1 to 8: save it upright"
        )


def upright(pixels: NDArray[Any], image: Any) -> NDArray[Any]:
    """Turn the pixels of a file as it is to be seen.

    Parameters
    ----------
    pixels : ndarray, shape (height, width, ...)
        Pixels as they are stored.
    image : PIL.Image.Image
        The file, opened by Pillow, with its tags.
    """
    swapped, up, left = _TURNS[image.getexif().get(_TAG, 1)]
    turned = np.swapaxes(pixels, 0, 1) if swapped else pixels
    turned = turned[::-1] if up else turned
    return np.ascontiguousarray(turned[:, ::-1] if left else turned)
