"""Denoising by OptiX. Import with the backend "cuda" active."""

from __future__ import annotations

from typing import Any

import mitsuba
import numpy as np
from numpy.typing import NDArray

__all__ = ["denoised"]

# Untyped, because its types depend on the variant.
mi: Any = mitsuba


def denoised(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Denoise a picture of shape (height, width, 3)."""
    height, width, _ = picture.shape
    denoiser = mi.OptixDenoiser(mi.ScalarVector2u(width, height))
    return np.array(denoiser(mi.TensorXf(picture)), dtype=np.float32)
