"""Loss that a Python callable computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from invopt.core.formatting import shown
from invopt.core.validators import has_masked
from invopt.rendering.losses.values import ValueLoss

__all__ = ["CallableLoss"]


@frozen(kw_only=True)
class CallableLoss(ValueLoss):
    """A loss computed by a Python callable.

    Parameters
    ----------
    function : callable
        ``function(image, target) -> float`` of two linear float32 arrays of shape (height, width, 3), or
        (height, width, 1) if the film is of luminance.
    """

    function: Callable[[NDArray[Any], NDArray[Any]], float]

    @property
    def name(self) -> str:
        """What messages call it."""
        return "a loss that is a Python callable"

    def value(self, image: NDArray[Any], reference: NDArray[Any]) -> float:
        """Return what the callable returns."""
        # Read-only: a function that wrote into the target would change the problem.
        kept = np.asarray(reference).view()
        kept.flags.writeable = False
        found = self.function(image, kept)
        if has_masked(found) or np.ndim(found) != 0 or np.asarray(found).dtype.kind not in "iuf":
            raise TypeError(f"'loss' must return one real number: {shown(found)}")
        return float(found)
