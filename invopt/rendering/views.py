"""Views: which camera takes a picture, in which state of the scene."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from invopt.exceptions import SceneError, suggest

__all__ = ["View", "check_channels", "number_of"]


@frozen(eq=False)
class View:
    """A picture of a scene.

    Parameters
    ----------
    sensor : int or str, default 0
        Number or name of the camera.
    changes : mapping of str to ndarray, default {}
        Parameters that have another value in this picture, as the radiance of a lamp that is switched off.
    """

    sensor: int | str = 0
    changes: Mapping[str, NDArray[np.float64]] = field(factory=dict)

    @classmethod
    def of(cls, sensors: Any, variants: Any) -> tuple[View, ...]:
        """Return one view for each of several cameras, in a state of the scene each."""
        states: Any = variants or ({},) * len(sensors)
        return tuple(cls(sensor, changes) for sensor, changes in zip(sensors, states, strict=True))


def number_of(sensor: int | str, scene: Any) -> int:
    """Return the number of a camera of a scene of Mitsuba."""
    cameras = scene.sensors()
    if isinstance(sensor, str):
        names = [camera.id() for camera in cameras]
        if sensor not in names:
            raise SceneError(f"'sensors' names no camera {sensor!r}; {suggest(sensor, names)}")
        return names.index(sensor)
    if not 0 <= sensor < len(cameras):
        raise SceneError(f"'sensors' must be below {len(cameras)}, the number of cameras of the scene: {sensor}")
    return sensor


def check_channels(scene: Any) -> None:
    """Refuse an integrator that adds channels to the picture: no target has them."""
    if names := scene.integrator().aov_names():
        raise SceneError(
            f"the integrator adds {', '.join(names)} to its pictures, which no target has: use an integrator "
            f"without them, such as 'path'"
        )
