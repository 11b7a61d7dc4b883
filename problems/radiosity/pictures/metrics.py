"""Errors of a picture against its reference."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import numpy as np
from attrs import asdict, frozen
from numpy.typing import ArrayLike, NDArray

from invopt.exceptions import InvoptError

__all__ = ["Errors", "compare", "flip", "has_flip"]

# Added to the reference, so that black pixels have finite weight; as in the papers' loss.
_EPSILON = 1e-2


@frozen
class Errors:
    """Errors of a linear picture.

    Attributes
    ----------
    mse : float
        Mean of d^2, d the difference to the reference r.
    mape : float
        Mean of abs(d) / (r + 0.01).
    relmse : float
        Mean of d^2 / (r^2 + 0.01).
    energy : float
        Mean of the picture over that of the reference: below 1 it is too dark.
    """

    mse: float
    mape: float
    relmse: float
    energy: float

    def to_dict(self) -> dict[str, float]:
        """As plain numbers by name."""
        return asdict(self)


def compare(picture: ArrayLike, reference: ArrayLike, exclude: NDArray[np.bool_] | None = None) -> Errors:
    """Errors of a picture.

    Parameters
    ----------
    picture, reference : array_like, shape (height, width, 3)
        Linear RGB.
    exclude : ndarray of bool, shape (height, width), optional
        Pixels left out, such as those of an emitter, which the field does not learn.

    Returns
    -------
    Errors

    Raises
    ------
    ValueError
        If the shapes differ, or no pixel is left.
    """
    found, target = np.asarray(picture, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if found.shape != target.shape:
        raise ValueError(f"'picture' and 'reference' must have one shape: {found.shape} and {target.shape}")
    keep = np.ones(found.shape[:2], dtype=bool) if exclude is None else ~np.asarray(exclude)
    if not keep.any():
        raise ValueError("'exclude' leaves no pixel to compare")
    found, target = found[keep], target[keep]
    difference = found - target
    return Errors(
        mse=float(np.mean(difference**2)),
        mape=float(np.mean(np.abs(difference) / (target + _EPSILON))),
        relmse=float(np.mean(difference**2 / (target**2 + _EPSILON))),
        energy=float(found.mean() / target.mean()),
    )


def has_flip() -> bool:
    """Whether flip-evaluator is installed."""
    return find_spec("flip_evaluator") is not None


def flip(picture: ArrayLike, reference: ArrayLike) -> float:
    """Mean HDR-FLIP of a picture: the difference that a viewer perceives.

    The viewer alternates between the picture and the reference [1]_.

    Parameters
    ----------
    picture, reference : array_like, shape (height, width, 3)
        Linear RGB; negative values count as black.

    Returns
    -------
    float
        From 0 (equal) to 1. The range of exposures is that of the reference.

    Raises
    ------
    InvoptError
        If flip-evaluator is not installed; see `has_flip`.

    References
    ----------
    .. [1] Andersson, Nilsson, Shirley, Akenine-Moeller, "Visualizing Errors in Rendered High Dynamic Range Images",
       Eurographics 2021 (short papers).
    """
    if not has_flip():
        raise InvoptError("FLIP needs the package 'flip-evaluator': pip install 'invopt[flip]'")
    shown = [np.clip(np.asarray(image, dtype=np.float32), 0, None) for image in (reference, picture)]
    _, mean, _ = import_module("flip_evaluator").evaluate(*shown, "HDR", applyMagma=False)
    return float(mean)
