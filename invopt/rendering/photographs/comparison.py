"""A render compared with a target: exposed, weighted, and given to a loss."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags_array, identity, kron

from invopt.rendering.losses import Loss
from invopt.rendering.photographs.exposure import Fitted
from invopt.rendering.photographs.target import Target
from invopt.rendering.pictures.stored import LUMINANCE
from invopt.rendering.values import renderer

__all__ = ["Comparison"]

# Half the difference, relative to 1 and the light, from which the slope of a residual by its pixel is computed.
_DIFFERENCE = 1e-6


class Comparison:
    """Comparison of renders of one camera with its target.

    Renders are arrays of numpy or tensors of Dr.Jit. What is unknown of the exposure is fitted to each render and is
    then constant: at the least-squares value, the derivative of the loss with respect to it is 0.

    Parameters
    ----------
    loss : Loss
        The loss.
    target : Target
        The target.
    on_device : bool
        Whether renders are tensors of Dr.Jit.
    """

    def __init__(self, loss: Loss, target: Target, *, on_device: bool) -> None:
        self._loss, self.target = loss, target
        # A loss in the arithmetic of numpy alone gets arrays.
        self._on_device = on_device and loss.differentiable
        self._reference = self._tensor(target.picture)
        self._scales = None if target.scales is None else self._tensor(target.scales)
        # So that the mean square is that of the pixels that are compared.
        squares = 1.0 if target.scales is None else float(np.square(target.scales, dtype=np.float64).mean())
        self._factor = 1 / math.sqrt(squares)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the pictures that the residuals consist of."""
        return self._loss.residual_shapes(self.target.picture.shape)

    @property
    def share(self) -> float:
        """Share of the pixels that are compared."""
        return 1.0 if self.target.scales is None else float((self.target.scales > 0).mean())

    def residuals(self, image: Any) -> NDArray[np.float64]:
        """Residuals of a render, shape (m,)."""
        if not self._on_device and not isinstance(image, np.ndarray):
            image = np.asarray(image, dtype=np.float32)
        parts = self._loss.residuals(self._compared(image), self._reference)
        joined = np.concatenate([np.array(part, dtype=np.float64).ravel() for part in parts])
        return joined if self._factor == 1.0 else self._factor * joined

    def slopes(self, image: NDArray[np.float64]) -> csr_matrix:
        """Derivative of the residuals by a picture of three channels, shape (m, 3 pixels).

        For losses that are pixelwise, and known exposures.
        """
        channels = self.target.picture.shape[2]
        pixels = image.shape[0] * image.shape[1]
        onto = np.array([LUMINANCE]) if channels == 1 else np.eye(len(LUMINANCE))
        shown = self._in_channels(image)
        step = _DIFFERENCE * (1.0 + np.abs(shown))
        ends = [self._pixelwise(shown + side * step) for side in (1, -1)]
        factors = (ends[0] - ends[1]) / (2 * step.ravel())
        mixed = kron(identity(pixels), onto, format="csr")
        return csr_matrix(diags_array(factors) @ mixed)

    def _pixelwise(self, shown: NDArray[np.float64]) -> NDArray[np.float64]:
        """Residuals of a picture in the channels of the target."""
        picture = np.asarray(self.target.picture, dtype=np.float64)
        scales = 1.0 if self.target.scales is None else np.asarray(self.target.scales, dtype=np.float64)
        exposed = self.target.exposure.exposed(shown, self.target.exposure.known(shown.shape[2]), np.asarray)
        (part,) = self._loss.residuals(picture + scales * (exposed - picture), picture)
        return self._factor * np.asarray(part, dtype=np.float64).ravel()

    def value(self, image: NDArray[Any]) -> float:
        """Loss of a render that is an array of numpy."""
        return self._scale * self._loss.value(self._compared(image), self.target.picture)

    def mean(self, image: Any) -> Any:
        """Loss of a render as a Dr.Jit number."""
        value, count = self._loss.total(self._compared(image), self._reference)
        return value * (self._scale / count)

    def derivative(self, image: NDArray[Any]) -> tuple[float, NDArray[np.float64]]:
        """Loss of a picture of numpy and its derivative, by Dr.Jit.

        Not on the scalar backend.
        """
        import drjit as dr

        tensor = self._tensor(image)
        dr.enable_grad(tensor)
        mean = self.mean(tensor)
        dr.backward(mean)
        return float(mean[0]), np.array(dr.grad(tensor), dtype=np.float64)

    def exposed(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """A render of numpy as the photograph would show it."""
        image = self._in_channels(np.asarray(image, dtype=np.float64))
        found = self.target.exposure.saturated(self._exposed(image, np.asarray))
        return np.asarray(found, dtype=np.float32)

    def fitted(self, image: NDArray[Any]) -> Fitted:
        """What fits a render best, of the unknown exposure."""
        image = self._in_channels(np.array(image, dtype=np.float64))
        picture = np.asarray(self.target.picture, dtype=np.float64)
        scales = np.ones((1, 1, 1)) if self.target.scales is None else np.asarray(self.target.scales, dtype=np.float64)

        def residuals(exposed: NDArray[np.float64]) -> NDArray[np.float64]:
            parts = self._loss.residuals(picture + scales * (exposed - picture), picture)
            return np.concatenate([part.ravel() for part in parts])

        return self.target.exposure.fit(image, picture, scales, residuals)

    @property
    def _scale(self) -> float:
        # A callable returns what it likes; it is given, as equal, the pixels that are not compared.
        return self._factor**2 if self._loss.differentiable else 1.0

    def _compared(self, image: Any) -> Any:
        """Exposed picture, moved to the target where nothing is compared."""
        image = self._in_channels(image)
        is_array = isinstance(image, np.ndarray)
        exposed = self._exposed(image, np.asarray if is_array else self._tensor)
        if self._scales is None:
            return exposed
        reference, scales = (self.target.picture, self.target.scales) if is_array else (self._reference, self._scales)
        return reference + scales * (exposed - reference)

    def _exposed(self, image: Any, as_array: Any) -> Any:
        exposure = self.target.exposure
        if exposure.is_fitted:
            values = image if isinstance(image, np.ndarray) else _values(image)
            if not np.isfinite(values).all():
                # Nothing fits it; the loss is nan.
                return image
            coefficients = self.fitted(values).coefficients
        else:
            coefficients = exposure.known(int(image.shape[2]))
        return exposure.exposed(image, coefficients, as_array)

    def _in_channels(self, image: Any) -> Any:
        """Luminance of a picture if the target is luminance."""
        if self.target.picture.shape[2] == 1 and int(image.shape[2]) > 1:
            return sum(weight * image[:, :, c : c + 1] for c, weight in enumerate(LUMINANCE))
        return image

    def _tensor(self, array: NDArray[Any]) -> Any:
        array = np.ascontiguousarray(array, dtype=np.float32)
        return renderer().TensorXf(array) if self._on_device else array


def _values(image: Any) -> NDArray[np.float64]:
    import drjit as dr

    return np.array(dr.detach(image), dtype=np.float64)
