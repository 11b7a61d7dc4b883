"""Checks of losses: shapes, zeros, derivatives."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from invopt.rendering import activate
from invopt.rendering.choice import Backend
from invopt.rendering.losses import Loss
from invopt.rendering.photographs.comparison import Comparison
from invopt.rendering.photographs.target import Target

__all__ = ["comparison_differentiates", "loss_differentiates", "loss_has_its_shapes", "loss_is_zero_at_its_target"]

# Shapes of the pictures: odd and even, colour and luminance.
_SHAPES = ((5, 6, 3), (4, 7, 1))
# Step of the central differences, whose error is of the order of its square.
_STEP = 1e-4
# Allowed difference of a slope as a share of the size of the derivative, and of a value in single precision.
_TOLERANCE, _SINGLE = 1e-3, 1e-5
# Directions along which a derivative is checked.
_DIRECTIONS = 4


def loss_is_zero_at_its_target(loss: Loss) -> None:
    """The residuals of equal pictures are 0, and the value is."""
    for shape in _SHAPES:
        picture = _picture(shape, 0)
        for part in loss.residuals(picture, picture) if loss.squared or loss.differentiable else []:
            assert not np.any(part), (
                f"{loss!r} has residuals up to {np.abs(part).max():g} where both pictures are equal"
            )
        value = loss.value(picture, picture.copy())
        assert abs(value) <= _SINGLE, f"{loss!r} is {value:g} where both pictures are equal"


def loss_has_its_shapes(loss: Loss) -> None:
    """`residual_shapes` are those of `residuals`, and `value` is their mean square."""
    for shape in _SHAPES if loss.squared else ():
        image, target = _picture(shape, 0), _picture(shape, 1)
        parts = loss.residuals(image, target)
        found, said = [np.shape(part) for part in parts], [tuple(each) for each in loss.residual_shapes(shape)]
        assert found == said, f"{loss!r} says that its residuals have the shapes {said}, and they have {found}"
        square = float(np.mean(np.square(np.concatenate([np.ravel(part) for part in parts]))))
        value = loss.value(image, target)
        assert math.isclose(value, square, rel_tol=_SINGLE), f"{loss!r} is {value:g}, its mean square {square:g}"


def loss_differentiates(loss: Loss) -> None:
    """Dr.Jit's derivative of a loss agrees with differences.

    Also where pixels are equal. Nothing is checked on the scalar backend, which has no derivatives.
    """
    for shape in _SHAPES if loss.differentiable else ():
        image, picture = _picture(shape, 0), _picture(shape, 1)
        equal = np.zeros((*shape[:2], 1), np.float32)
        equal[1:3, 1:4] = 1.0
        comparison_differentiates(loss, Target(picture=picture, scales=1 - equal), image)


def comparison_differentiates(loss: Loss, target: Target, image: NDArray[np.float32]) -> None:
    """Value and derivative of a comparison by Dr.Jit agree with those by numpy."""
    if activate() is Backend.SCALAR:
        return
    value, gradient = Comparison(loss, target, on_device=True).derivative(image)
    plain, exact = Comparison(loss, target, on_device=False), image.astype(np.float64)
    known = plain.value(exact)
    assert math.isclose(value, known, rel_tol=_TOLERANCE), f"{loss!r} is {value:g} in Dr.Jit and {known:g} in numpy"
    rng = np.random.default_rng(2)
    for _ in range(_DIRECTIONS):
        step = _STEP * rng.standard_normal(image.shape)
        difference = plain.value(exact + step) - plain.value(exact - step)
        allowed = 2 * _TOLERANCE * float(np.linalg.norm(gradient) * np.linalg.norm(step))
        given = 2 * float((gradient * step).sum())
        assert abs(given - difference) <= allowed, (
            f"{loss!r}: the derivative along a direction is {given / 2 / _STEP:g}, and differences give "
            f"{difference / 2 / _STEP:g}"
        )


def _picture(shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(0.05, 1.5, shape).astype(np.float32)
