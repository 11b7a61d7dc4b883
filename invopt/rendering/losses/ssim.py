"""Loss of structural similarity."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from invopt.rendering.losses.values import ValueLoss
from invopt.rendering.pictures.display import encoded

__all__ = ["SSIM"]

Array = NDArray[np.float64]

# Constants of Wang et al.: standard deviation of the window in pixels, K1 and K2. Their window has 11 x 11 pixels, 3.5
# standard deviations to each side.
_WINDOW, _HALF, _TRUNCATE = 1.5, 5, 3.5
_K1, _K2 = 0.01, 0.03


@frozen(kw_only=True)
class SSIM(ValueLoss):
    """1 less the mean structural similarity of two pictures, in [0, 2].

    Compares means, variances and correlation within a Gaussian window of 11 x 11 pixels, channel by channel, of the
    pictures as a screen shows them: clipped to [0, 1] and encoded in sRGB. It has a value only; its values are those of
    scikit-image with ``gaussian_weights=True, use_sample_covariance=False, data_range=1``.

    References
    ----------
    .. [1] Wang, Bovik, Sheikh, Simoncelli, "Image Quality Assessment: From Error Visibility to Structural Similarity",
       IEEE Transactions on Image Processing 13(4), 2004, equation 13.
    """

    def value(self, image: NDArray[Any], reference: NDArray[Any]) -> float:
        """1 less the mean over all windows inside the picture."""
        one, other = encoded(image), encoded(reference)
        mean, own = _blurred(one), _blurred(other)
        variance = _blurred(one * one) - mean**2
        variances = variance + _blurred(other * other) - own**2
        covariance = _blurred(one * other) - mean * own
        numerator = (2 * mean * own + _K1**2) * (2 * covariance + _K2**2)
        similarity = numerator / ((mean**2 + own**2 + _K1**2) * (variances + _K2**2))
        # In a picture that is smaller than the window, all pixels.
        inside = tuple(slice(_HALF, -_HALF) if size > 2 * _HALF else slice(None) for size in similarity.shape[:2])
        if not np.isfinite(image).all():
            return float("nan")
        return float(1.0 - similarity[inside].mean())


def _blurred(picture: Array) -> Array:
    found: Array = gaussian_filter(picture, _WINDOW, truncate=_TRUNCATE, axes=(0, 1))
    return found
