"""Linear pictures converted for a screen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["to_display"]


def to_display(image: NDArray[Any]) -> NDArray[np.float64]:
    """Clip linear values to [0, 1] and encode them in sRGB; shape (h, w, 3)."""
    linear = np.clip(np.nan_to_num(np.asarray(image, dtype=np.float64)), 0.0, 1.0)
    if linear.ndim == 2:
        linear = np.repeat(linear[:, :, None], 3, axis=2)
    # IEC 61966-2-1 (sRGB).
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
