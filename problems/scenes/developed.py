"""A render beside its photograph, with the exposure that was fitted."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from invopt.rendering.photographs.comparison import Comparison

__all__ = ["Developed"]


@frozen(eq=False, kw_only=True)
class Developed:
    """A render beside its photograph.

    Attributes
    ----------
    picture : ndarray, shape (height, width, c)
        The photograph, linear, averaged down to the film; encoded if its response is unknown.
    render : ndarray, shape (height, width, c)
        The render, exposed and saturated as the photograph.
    compared : ndarray of bool, shape (height, width)
        Where they are compared.
    difference : ndarray, shape (height, width, c)
        Render less photograph; 0 where they are not compared.
    fitted : dict of str to float
        What was fitted of the exposure, by name.
    standard_error : dict of str to float
        Standard errors of these for this render, from the spread of the differences.
    """

    picture: NDArray[np.float32]
    render: NDArray[np.float32]
    compared: NDArray[np.bool_]
    difference: NDArray[np.float32]
    fitted: dict[str, float]
    standard_error: dict[str, float]

    @classmethod
    def of(cls, comparison: Comparison, image: NDArray[np.float64]) -> Developed:
        """Expose a render as its comparison does."""
        target, exposed = comparison.target, comparison.exposed(image)
        scales = np.ones((1, 1, 1)) if target.scales is None else target.scales
        compared = np.broadcast_to(scales[:, :, 0] > 0, target.picture.shape[:2])
        values: dict[str, float] = {}
        errors: dict[str, float] = {}
        if target.exposure.names:
            found = comparison.fitted(image)
            values = dict(zip(target.exposure.names, found.values.tolist(), strict=True))
            errors = dict(zip(target.exposure.names, found.standard_error.tolist(), strict=True))
        return cls(
            picture=target.picture,
            render=exposed,
            compared=compared,
            difference=np.where(compared[:, :, None], exposed - target.picture, np.float32(0)),
            fitted=values,
            standard_error=errors,
        )
