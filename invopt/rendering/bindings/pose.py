"""Bindings of rigid motion: of an object, and of a camera in its own frame."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from attrs import field, frozen
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.validators import real
from invopt.rendering.bindings.binding import Own
from invopt.rendering.bindings.matrices import about, rotate, translate
from invopt.rendering.bindings.motion import AXES, Motion, as_center

__all__ = ["CameraPose", "Pose"]


@frozen(kw_only=True, eq=False)
class Pose(Motion):
    """Rigid motion: displacement, and rotation vector in degrees.

    Parameters
    ----------
    unit : float, default 20
        Degrees of rotation that correspond to a change of x by 1.
    center : array_like, shape (3,), optional
        Centre of the rotation.

    Notes
    -----
    The rotation vector points along the axis, and its length is the angle. `bounds` are in scene units for the first
    three columns, in degrees for the last three. `scale` is that of the displacement; that of the rotation is 1, which
    is `unit` degrees.
    """

    what: ClassVar[str] = "pose"
    order: ClassVar[int] = 2

    unit: float = field(default=20.0, validator=real(above=0))
    center: NDArray[np.float64] | None = field(default=None, converter=as_center)

    def parts(self, own: Own) -> tuple[str, ...]:
        """Displacement and rotation along each axis."""
        return ("x", "y", "z", "rx", "ry", "rz")

    def claims(self) -> frozenset[str]:
        """Displacement along every axis and rotation about any."""
        return frozenset({*(f"{self.target} along {axis}" for axis in AXES), f"{self.target} about any axis"})

    def decode(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scene units and degrees."""
        return x * self._units

    def encode(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scene units, and multiples of `unit` degrees."""
        return values / self._units

    def spread(self, std: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scene units, and multiples of `unit` degrees."""
        return self.encode(std)

    def x_scale(self, size: int, own: Own) -> NDArray[np.float64]:
        """The scale of the displacement, then 1 for the rotation."""
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
    """Pose of a camera in its own frame: x left, y up, z forward.

    The rotation is about the position of the camera.

    Parameters
    ----------
    target : str, default "sensor"
        Name of the camera. In an XML file, a camera without an id is called "sensor".

    Notes
    -----
    Mitsuba has no derivative with respect to it. The default `unit` is 5 degrees.
    """

    what: ClassVar[str] = "pose"
    local: ClassVar[bool] = True

    target: str = field(default="sensor", kw_only=False)
    unit: float = field(default=5.0, validator=real(above=0))
