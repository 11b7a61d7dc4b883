"""Errors of a picture with respect to its reference."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import numpy as np
from attrs import asdict, frozen
from numpy.typing import ArrayLike, NDArray

from invopt.exceptions import InvoptError

from ..losses import EPSILON

__all__ = ["Errors", "compare", "flip", "has_flip"]


@frozen
class Errors:
    """Errors of a linear picture.

    Attributes
    ----------
    mse : float
        Mean of d^2, where d is the difference from the reference r.
    mape : float
        Mean of abs(d) / (r + 0.01).
    relmse : float
        Mean of d^2 / (r^2 + 0.01).
    energy : float
        Mean of the picture over that of the reference; below 1 the picture is too dark.
    """

    mse: float
    mape: float
    relmse: float
    energy: float

    def to_dict(self) -> dict[str, float]:
        """Return the errors by name."""
        return asdict(self)


def compare(picture: ArrayLike, reference: ArrayLike, exclude: NDArray[np.bool_] | None = None) -> Errors:
    """Return the errors of a picture.

    Parameters
    ----------
    picture, reference : array_like, shape (height, width, 3)
        Linear RGB.
    exclude : ndarray of bool, shape (height, width), optional
        Pixels to leave out, such as those that show an emitter, whose light is known.

    Returns
    -------
    Errors

    Raises
    ------
    ValueError
        If the shapes differ, or no pixel remains.
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
        mape=float(np.mean(np.abs(difference) / (target + EPSILON))),
        relmse=float(np.mean(difference**2 / (target**2 + EPSILON))),
        energy=float(found.mean() / target.mean()),
    )


def has_flip() -> bool:
    """Return whether flip-evaluator is installed."""
    return find_spec("flip_evaluator") is not None


def flip(picture: ArrayLike, reference: ArrayLike) -> float:
    """Return the mean HDR-FLIP of a picture [1]_.

    FLIP is the difference that a person notices who alternates between the picture and the reference.

    Parameters
    ----------
    picture, reference : array_like, shape (height, width, 3)
        Linear RGB; negative values count as black.

    Returns
    -------
    float
        From 0 for equal pictures to 1; the exposures are chosen from the reference.

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
