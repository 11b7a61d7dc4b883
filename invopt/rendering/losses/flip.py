"""Loss of the differences that an observer sees when two pictures alternate."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from invopt.core.validators import real
from invopt.exceptions import InvoptError
from invopt.rendering.losses.values import ValueLoss
from invopt.rendering.pictures.display import to_display

__all__ = ["FLIP"]

# Pixels per degree of a screen of 0.7 m and 3840 pixels, 0.7 m away, the reference's default: 3840 pi / 180 = 67.02.
_PIXELS_PER_DEGREE = 67.0


@frozen(kw_only=True)
class FLIP(ValueLoss):
    """Mean FLIP error of two pictures, in [0, 1].

    It is what an observer sees when they alternate, as a screen shows them: clipped to [0, 1] and encoded in sRGB. It
    has a value only, and needs the package ``flip-evaluator``: ``pip install invopt[flip]``.

    Parameters
    ----------
    pixels_per_degree : float, default 67
        Pixels that the observer sees in a degree, > 0. Small differences of few pixels count less if it is large.

    Raises
    ------
    InvoptError
        If the package is missing.

    References
    ----------
    .. [1] Andersson, Nilsson, Akenine-Möller, Oskarsson, Åström, Fairchild, "FLIP: A Difference Evaluator for
       Alternating Images", Proceedings of the ACM on Computer Graphics and Interactive Techniques 3(2), 2020.
    """

    pixels_per_degree: float = field(default=_PIXELS_PER_DEGREE, validator=real(above=0))

    def __attrs_post_init__(self) -> None:
        _evaluator()

    def value(self, image: NDArray[Any], reference: NDArray[Any]) -> float:
        """Mean error over the picture."""
        if not np.isfinite(image).all():
            return float("nan")
        one, other = (np.ascontiguousarray(to_display(_color(each)), dtype=np.float32) for each in (reference, image))
        facts = {"ppd": self.pixels_per_degree}
        _, mean, _ = _evaluator().evaluate(one, other, "LDR", inputsRGB=True, applyMagma=False, parameters=facts)
        return float(mean)


def _color(picture: NDArray[Any]) -> NDArray[Any]:
    return np.broadcast_to(picture, (*picture.shape[:2], 3))


def _evaluator() -> Any:
    try:
        return importlib.import_module("flip_evaluator")
    except ImportError as error:
        raise InvoptError("the loss FLIP needs the package 'flip-evaluator': pip install 'invopt[flip]'") from error
