"""Bindings of translation, rotation and scaling; several may act on one object."""

from __future__ import annotations

import abc
import math
from typing import Any, ClassVar

import numpy as np
import torch
from attrs import field, frozen
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.validators import as_vector, real, require
from invopt.rendering.bindings.binding import Binding, Own, as_pairs, logarithm
from invopt.rendering.bindings.matrices import about, translate, turn
from invopt.rendering.parameter import Parameter

__all__ = ["AXES", "Motion", "Rotation", "Scale", "Translation", "as_center"]

AXES = "xyz"
_FULL_TURN = 360.0
# Decimals to which two directions must agree to be one axis: far above the rounding of a unit vector, 1e-16, and far
# below any difference between axes that matters.
_AXIS_DECIMALS = 6
# Default scale of the natural logarithm of a size: exp(0.25) is a factor of 1.28.
_SIZE_LOG_SCALE = 0.25


def _direction(value: Any) -> NDArray[np.float64]:
    axis = as_vector("axis", value, size=3)
    require("axis", bool(np.linalg.norm(axis) > 0), "a direction", value)
    return axis / np.linalg.norm(axis)


def _no_own() -> Parameter:
    raise TypeError("a motion does not read the scene")


def as_center(value: Any) -> NDArray[np.float64] | None:
    """Return a point of the world as a vector, or None for the default."""
    return None if value is None else as_vector("center", value, size=3)


@frozen(kw_only=True, eq=False)
class Motion(Binding):
    """Motion of an object, relative to its pose in the scene.

    Points of the object are scaled, then rotated, both about `center`, then translated, whatever the order of
    declaration. The default `center` is the middle of the bounding box, or the position of a camera or light.
    """

    what: ClassVar[str]
    # Order of application: scaling 0, rotation 1, translation 2.
    order: ClassVar[int]
    # Whether the motion is in the frame of the object, as for a camera, instead of the frame of the world.
    local: ClassVar[bool] = False

    @property
    def label(self) -> str:
        """The name given, else object and kind of motion."""
        return self.name or f"{self.target}.{self.what}"

    @property
    def columns_known(self) -> int:
        """Number of columns, which does not depend on the scene."""
        return len(self.parts(_no_own))

    def initial(self, own: Own) -> NDArray[np.float64]:
        """No motion."""
        return np.zeros(self.columns_known)

    @abc.abstractmethod
    def matrix(self, x: Tensor, center: Tensor) -> Tensor:
        """Motion as a 4x4 matrix, differentiable with respect to `x` of shape (size,)."""


@frozen(kw_only=True, eq=False)
class Translation(Motion):
    """Displacement along some axes, in scene units; 0 is the position in the scene.

    Parameters
    ----------
    axes : str, default "xyz"
        Axes of the world, one column each.

    Notes
    -----
    Moves shapes, lights and cameras. Without bounds, the default scale is 1.
    """

    what: ClassVar[str] = "translation"
    order: ClassVar[int] = 2

    axes: str = field(default=AXES)

    @axes.validator
    def _check_axes(self, _: Any, value: Any) -> None:
        known = isinstance(value, str) and value and set(value) <= set(AXES) and len(set(value)) == len(value)
        require("axes", bool(known), "distinct letters of 'xyz'", value)

    def parts(self, own: Own) -> tuple[str, ...]:
        """The axes."""
        return tuple(self.axes)

    def claims(self) -> frozenset[str]:
        """One for each axis."""
        return frozenset(f"{self.target} along {axis}" for axis in self.axes)

    def matrix(self, x: Tensor, center: Tensor) -> Tensor:
        """Identity with the displacement in its last column."""
        return translate(x.new_zeros(3).index_put((torch.tensor([AXES.index(a) for a in self.axes]),), x))


@frozen(kw_only=True, eq=False)
class Rotation(Motion):
    """Rotation about an axis, with a period of 360 degrees.

    0 is the orientation in the scene.

    Parameters
    ----------
    axis : array_like, shape (3,)
        Direction of the axis in the world; the rotation is counter-clockwise seen from its tip.
    unit : float, default 20
        Degrees that correspond to a change of x by 1.
    center : array_like, shape (3,), optional
        Point of the axis, in the world.

    Notes
    -----
    `bounds` and values are in degrees. Without bounds, the default scale is 1: `unit` degrees.
    """

    what: ClassVar[str] = "rotation"
    order: ClassVar[int] = 1

    axis: NDArray[np.float64] = field(converter=_direction)
    unit: float = field(default=20.0, validator=real(above=0))
    center: NDArray[np.float64] | None = field(default=None, converter=as_center)

    def parts(self, own: Own) -> tuple[str, ...]:
        """One column, without a name of its own."""
        return ("",)

    def claims(self) -> frozenset[str]:
        """The axis, whichever its direction."""
        along = np.round(self.axis, _AXIS_DECIMALS) + 0.0
        first = along[np.flatnonzero(along)[0]]
        return frozenset({f"{self.target} about {(along * np.sign(first) + 0.0).tolist()}"})

    def decode(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Degrees."""
        return x * self.unit

    def encode(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Multiples of `unit` degrees."""
        return values / self.unit

    def spread(self, std: NDArray[np.float64]) -> NDArray[np.float64]:
        """Multiples of `unit` degrees."""
        return self.encode(std)

    def periods(self, size: int, own: Own) -> NDArray[np.float64]:
        """360 degrees."""
        return np.array([_FULL_TURN / self.unit])

    def matrix(self, x: Tensor, center: Tensor) -> Tensor:
        """Rotation about the axis through the centre."""
        # Angles that differ by a full turn give the same rotation to the last bit.
        turned = torch.remainder(x, _FULL_TURN / self.unit)
        linear = turn(self.axis, turned * math.radians(self.unit))
        return about(linear, center if self.center is None else torch.from_numpy(self.center))


@frozen(kw_only=True, eq=False)
class Scale(Motion):
    """Uniform scaling relative to the scene; x is the logarithm of the factor.

    Parameters
    ----------
    center : array_like, shape (3,), optional
        Fixed point.

    Notes
    -----
    `bounds` and values are factors, > 0. Without finite bounds, the default scale is 0.25: a factor of
    1.28.
    """

    what: ClassVar[str] = "scale"
    order: ClassVar[int] = 0

    center: NDArray[np.float64] | None = field(default=None, converter=as_center)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.bounds is not None:
            low, high = as_pairs(self.bounds, 1)[0]
            require("bounds", (low >= 0 or low == -np.inf) and high > 0, "factors > 0", self.bounds)

    def parts(self, own: Own) -> tuple[str, ...]:
        """One column, without a name of its own."""
        return ("",)

    def claims(self) -> frozenset[str]:
        """The size."""
        return frozenset({f"size of {self.target}"})

    def default_scale(self, own: Own) -> float:
        """The logarithm of a factor of 1.28."""
        return _SIZE_LOG_SCALE

    def decode(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The factor."""
        return np.exp(x)

    def encode(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Logarithm of the factor."""
        require(self.label, not bool((np.isfinite(values) & (values < 0)).any()), "a factor > 0", values.tolist())
        return logarithm(values)

    def matrix(self, x: Tensor, center: Tensor) -> Tensor:
        """Scaling about the centre."""
        return about(
            torch.eye(3, dtype=x.dtype) * torch.exp(x), center if self.center is None else torch.from_numpy(self.center)
        )
