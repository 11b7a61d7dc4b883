"""Motions of objects: of shapes, lights and cameras. Several may act on one object."""

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
from invopt.rendering.bindings.binding import Binding, Own, as_pairs
from invopt.rendering.bindings.matrices import about, rotate, translate, turn
from invopt.rendering.parameter import Parameter

__all__ = ["CameraPose", "Motion", "Pose", "Rotation", "Scale", "Translation"]

_AXES = "xyz"


def _direction(value: Any) -> NDArray[np.float64]:
    axis = as_vector("axis", value, size=3)
    require("axis", bool(np.linalg.norm(axis) > 0), "a direction", value)
    return axis / np.linalg.norm(axis)


def _no_own() -> Parameter:
    raise TypeError("a motion asks for nothing of the scene's own")


def _point(value: Any) -> NDArray[np.float64] | None:
    return None if value is None else as_vector("center", value, size=3)


@frozen(kw_only=True, eq=False)
class Motion(Binding):
    """Change of an object's place relative to where the scene puts it.

    Applied to a point p of the object: scaled, then rotated, both about `center`, then translated, whatever the order
    of declaration. By default `center` is the middle of the bounding box, or a camera's or light's own place.
    """

    what: ClassVar[str]
    # Scaling first, translation last.
    order: ClassVar[int]
    # Whether the motion is in the object's own frame, as a camera's, instead of the world's.
    local: ClassVar[bool] = False

    @property
    def label(self) -> str:
        """Object and motion."""
        return self.name or f"{self.target}.{self.what}"

    @property
    def columns_known(self) -> int:
        """Motions are the same whatever moves."""
        return len(self.parts(_no_own))

    def initial(self, own: Own) -> NDArray[np.float64]:
        """No motion."""
        return np.zeros(self.columns_known)

    @abc.abstractmethod
    def matrix(self, x: Tensor, center: Tensor) -> Tensor:
        """Motion as a 4x4 matrix, differentiable with respect to `x` of shape (size,)."""


@frozen(kw_only=True, eq=False)
class Translation(Motion):
    """Displacement along some axes, in scene units; 0 leaves the object where the scene puts it.

    Parameters
    ----------
    axes : str, default "xyz"
        Which axes of the world, each a column.

    Notes
    -----
    Acts on shapes, lights and cameras. The default scale without bounds is 1.
    """

    what: ClassVar[str] = "translation"
    order: ClassVar[int] = 2

    axes: str = field(default=_AXES)

    @axes.validator
    def _check_axes(self, _: Any, value: Any) -> None:
        known = isinstance(value, str) and value and set(value) <= set(_AXES) and len(set(value)) == len(value)
        require("axes", bool(known), "distinct letters of 'xyz'", value)

    def parts(self, own: Own) -> tuple[str, ...]:
        """The axes."""
        return tuple(self.axes)

    def claims(self) -> frozenset[str]:
        """One for each axis."""
        return frozenset(f"{self.target} along {axis}" for axis in self.axes)

    def matrix(self, x: Tensor, center: Tensor) -> Tensor:
        """Identity with the displacement in its last column."""
        return translate(x.new_zeros(3).index_put((torch.tensor([_AXES.index(a) for a in self.axes]),), x))


@frozen(kw_only=True, eq=False)
class Rotation(Motion):
    """Turn about an axis; 0 leaves the object as the scene turns it. Its period is a full turn.

    Parameters
    ----------
    axis : array_like, shape (3,)
        Direction of the axis in the world; counter-clockwise seen from its tip.
    unit : float, default 20
        Degrees that a change of x by 1 stands for.
    center : array_like, shape (3,), optional
        A point of the axis, in the world.

    Notes
    -----
    `bounds` and values are in degrees. The default scale without bounds is 1: `unit` degrees.
    """

    what: ClassVar[str] = "rotation"
    order: ClassVar[int] = 1

    axis: NDArray[np.float64] = field(converter=_direction)
    unit: float = field(default=20.0, validator=real(above=0))
    center: NDArray[np.float64] | None = field(default=None, converter=_point)

    def parts(self, own: Own) -> tuple[str, ...]:
        """One column, without a name of its own."""
        return ("",)

    def claims(self) -> frozenset[str]:
        """The axis, in either direction."""
        along = np.round(self.axis, 6) + 0.0
        first = along[np.flatnonzero(along)[0]]
        return frozenset({f"{self.target} about {(along * np.sign(first) + 0.0).tolist()}"})

    def decode(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Degrees."""
        return x * self.unit

    def encode(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Units of so many degrees."""
        return values / self.unit

    def periods(self, size: int, own: Own) -> NDArray[np.float64]:
        """A full turn."""
        return np.array([360.0 / self.unit])

    def matrix(self, x: Tensor, center: Tensor) -> Tensor:
        """Rotation about the axis through the centre."""
        # One turn more is the same rotation to the last bit.
        turned = torch.remainder(x, 360.0 / self.unit)
        linear = turn(self.axis, turned * math.radians(self.unit))
        return about(linear, center if self.center is None else torch.from_numpy(self.center))


@frozen(kw_only=True, eq=False)
class Scale(Motion):
    """Size relative to the scene's, the same along all axes; x is the natural logarithm of the factor.

    Parameters
    ----------
    center : array_like, shape (3,), optional
        The point that stays.

    Notes
    -----
    `bounds` and values are factors, > 0. The default scale without finite bounds is 0.25: a factor of 1.28.
    """

    what: ClassVar[str] = "scale"
    order: ClassVar[int] = 0

    center: NDArray[np.float64] | None = field(default=None, converter=_point)

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
        """A quarter of the size."""
        return 0.25

    def decode(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Factor."""
        return np.exp(x)

    def encode(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Logarithm of the factor."""
        require(self.label, not bool((np.isfinite(values) & (values < 0)).any()), "a factor > 0", values.tolist())
        with np.errstate(divide="ignore"):
            # No lower bound at all and a bound of 0 are the same to a logarithm.
            return np.log(np.maximum(values, 0.0))

    def matrix(self, x: Tensor, center: Tensor) -> Tensor:
        """Scaling about the centre."""
        return about(
            torch.eye(3, dtype=x.dtype) * torch.exp(x), center if self.center is None else torch.from_numpy(self.center)
        )


@frozen(kw_only=True, eq=False)
class Pose(Motion):
    """Rigid motion with six degrees of freedom: displacement, and rotation vector in degrees.

    Parameters
    ----------
    unit : float, default 20
        Degrees of rotation that a change of x by 1 stands for.
    center : array_like, shape (3,), optional
        What the rotation is about.

    Notes
    -----
    The rotation vector points along the axis and is as long as the angle. `bounds` are in scene units for the first
    three columns, in degrees for the last three. `scale` is that of the displacement; rotations have 1, `unit` degrees.
    """

    what: ClassVar[str] = "pose"
    order: ClassVar[int] = 2

    unit: float = field(default=20.0, validator=real(above=0))
    center: NDArray[np.float64] | None = field(default=None, converter=_point)

    def parts(self, own: Own) -> tuple[str, ...]:
        """Displacements, rotations."""
        return ("x", "y", "z", "rx", "ry", "rz")

    def claims(self) -> frozenset[str]:
        """All axes, for displacement and rotation."""
        return frozenset({*(f"{self.target} along {axis}" for axis in _AXES), f"{self.target} about any axis"})

    def decode(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scene units and degrees."""
        return x * self._units

    def encode(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scene units, and units of so many degrees."""
        return values / self._units

    def x_scale(self, size: int, own: Own) -> NDArray[np.float64]:
        """The displacement's own, then 1."""
        scale = super().x_scale(size, own)
        scale[3:] = 1.0
        return scale

    def matrix(self, x: Tensor, center: Tensor) -> Tensor:
        """Rotation about the centre, then displacement."""
        turned = about(
            rotate(x[3:] * math.radians(self.unit)), center if self.center is None else torch.from_numpy(self.center)
        )
        return translate(x[:3]) @ turned

    @property
    def _units(self) -> NDArray[np.float64]:
        return np.array([1.0, 1.0, 1.0, self.unit, self.unit, self.unit])


@frozen(kw_only=True, eq=False)
class CameraPose(Pose):
    """Pose of a camera in its own frame: x to its left, y up, z ahead; the rotation about its own place.

    Parameters
    ----------
    target : str, default "sensor"
        The camera. In an XML file one without an id is called "sensor".

    Notes
    -----
    Mitsuba has no derivative with respect to it. The default `unit` is 5 degrees.
    """

    what: ClassVar[str] = "pose"
    local: ClassVar[bool] = True

    target: str = field(default="sensor", kw_only=False)
    unit: float = field(default=5.0, validator=real(above=0))
