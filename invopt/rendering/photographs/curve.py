"""Response curve that is fitted to each render."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy.optimize import nnls

from invopt.rendering.photographs.exposure import Exposure, Fitted, Residuals

__all__ = ["Curve"]

Array = NDArray[np.float64]

# Light at which each ramp reaches half of its height: five octaves below and above 1, one ramp an octave. Sums of such
# ramps with factors >= 0 are monotone and concave, as response curves of cameras are.
_HALVES = tuple(2.0**octave for octave in range(-7, 8))


@frozen(eq=False)
class Curve(Exposure):
    r"""An unknown response curve.

    It is :math:`\sum_j a_j v / (v + c_j)` with :math:`a_j \ge 0`. Such curves are monotone and concave, and contain the
    exposure. Their factors are solved by linear least squares.

    Parameters
    ----------
    factors : tuple of float
        Known factor of each channel.
    separate : bool
        Whether each channel has a curve of its own, which contains the white balance.
    """

    factors: tuple[float, ...]
    separate: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The curve has no unknown factors of its own."""
        return ()

    @property
    def is_fitted(self) -> bool:
        """Always."""
        return True

    def exposed(self, image: Any, coefficients: Any, as_array: Callable[[Array], Any]) -> Any:
        """Apply the curves to the channels."""
        light = image * as_array(np.array(self.factors[: coefficients.shape[1]])[None, None])
        total = light * 0.0
        for half, row in zip(_HALVES, coefficients, strict=True):
            if row.any():
                total = total + light / (light + half) * as_array(row[None, None])
        return total

    def saturated(self, exposed: Array) -> Array:
        """The picture: the curve saturates by itself."""
        return exposed

    def known(self, channels: int) -> Array:
        """Fit is always needed."""
        raise TypeError("an unknown response has no known coefficients")

    def fit(self, image: Array, picture: Array, scales: Array, residuals: Residuals) -> Fitted:
        """Least-squares curves."""
        channels = image.shape[2]
        light = np.maximum(image * np.array(self.factors[:channels]), 0.0)
        ramps = np.stack([scales * light / (light + half) for half in _HALVES], axis=-1)
        wanted = np.broadcast_to(scales * picture, light.shape)
        if not self.separate:
            row, _ = nnls(*_normal(ramps.reshape(-1, len(_HALVES)), wanted.ravel()))
            coefficients = np.repeat(row[:, None], channels, axis=1)
        else:
            rows = [
                nnls(*_normal(ramps[:, :, c].reshape(-1, len(_HALVES)), wanted[:, :, c].ravel()))[0]
                for c in range(channels)
            ]
            coefficients = np.stack(rows, axis=1)
        return Fitted(coefficients, np.zeros(0), np.zeros(0))


def _normal(ramps: Array, wanted: Array) -> tuple[Array, Array]:
    """Square system with the same least-squares solution: far fewer rows than pixels."""
    q, r = np.linalg.qr(ramps)
    return r, q.T @ wanted
