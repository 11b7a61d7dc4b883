"""Linear pictures converted for a screen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["encoded", "to_display"]


def to_display(image: NDArray[Any]) -> NDArray[np.float64]:
    """Clip linear values to [0, 1] and encode them in sRGB; shape (h, w, 3)."""
    shown = encoded(image)
    return np.repeat(shown[:, :, None], 3, axis=2) if shown.ndim == 2 else shown


def encoded(image: NDArray[Any]) -> NDArray[np.float64]:
    """Clip linear values to [0, 1] and encode them in sRGB; the shape stays."""
    linear = np.clip(np.nan_to_num(np.asarray(image, dtype=np.float64)), 0.0, 1.0)
    # IEC 61966-2-1 (sRGB).
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
