"""Bindings of single numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from attrs import field, frozen
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.validators import boolean, require
from invopt.exceptions import SceneError
from invopt.rendering.bindings.binding import Own, ValueBinding, as_pairs, logarithm
from invopt.rendering.parameter import Kind, Parameter
from invopt.rendering.reading import keys

__all__ = ["FieldOfView", "Value"]

# Default scale of the natural logarithm of a number: exp(0.5) is a factor of 1.65.
_NUMBER_LOG_SCALE = 0.5


@frozen(kw_only=True, eq=False)
class Value(ValueBinding):
    """A number of the scene: roughness, radiance, intensity, index of refraction.

    Parameters
    ----------
    log : bool, default False
        For positive numbers: x is the natural logarithm, so that equal steps are equal factors.

    Notes
    -----
    A colour, such as the radiance of a light, keeps its hue; the number is the mean of its three numbers. The default
    bounds are the range of the parameter: emitted light and roughness >= 0, each number of a reflectance in [0, 1].
    Without finite bounds, the default scale with `log` is 0.5 (a factor of 1.65); without `log`, `scale` or `bounds`
    must be given.
    """

    log: bool = field(default=False, validator=boolean)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.log and self.bounds is not None:
            low, _ = as_pairs(self.bounds, 1)[0]
            require("bounds", low >= 0 or low == -np.inf, ">= 0 with log=True", self.bounds)
        if not self.log and self.scale is None and not self._finite():
            raise ValueError(f"'scale' or 'bounds' must be given for {self.target!r}, unless log=True")

    @property
    def shades(self) -> bool:  # type: ignore[override]
        """Whether the number is the brightness of a light or of a diffuse colour."""
        return keys.is_shading(self.target)

    @property
    def columns_known(self) -> int:
        """One column."""
        return 1

    def default_scale(self, own: Own) -> float:
        """The logarithm of a factor of 1.65."""
        return _NUMBER_LOG_SCALE

    def default_bounds(self, own: Own) -> Any:
        """Bounds within which each of the three numbers of a colour is in its range."""
        parameter = own()
        return parameter.low, parameter.high * _mean_over_largest(parameter)

    def parts(self, own: Own) -> tuple[str, ...]:
        """One column, without a name of its own."""
        return ("",)

    def initial(self, own: Own) -> NDArray[np.float64]:
        """The number in the scene."""
        parameter = own()
        self.require_kind(parameter, Kind.NUMBER, Kind.COLOR)
        highest = parameter.high * _mean_over_largest(parameter)
        if parameter.kind is Kind.COLOR and self.bounds is not None and as_pairs(self.bounds, 1)[0, 1] > highest:
            raise SceneError(
                f"'bounds' of {self.label!r} limit the mean of its three numbers, and above {highest:.4g} the largest "
                f"exceeds {parameter.high:g}: lower them, or use Color"
            )
        return self.encode(np.array([float(parameter.value.mean())]))

    def decode(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The number."""
        return np.exp(x) if self.log else x.copy()

    def encode(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The number or its logarithm."""
        if not self.log:
            return values.copy()
        return logarithm(values)

    def values(self, x: Tensor, own: Own) -> dict[str, Tensor]:
        """The number, or the colour of the scene scaled to that mean."""
        number = torch.exp(x) if self.log else x
        scene = torch.from_numpy(own().value.ravel())
        if scene.numel() == 1:
            return {self.target: number}
        mean = scene.mean()
        return {self.target: number * (scene / mean if mean > 0 else torch.ones_like(scene))}

    def _finite(self) -> bool:
        return self.bounds is not None and bool(np.isfinite(as_pairs(self.bounds, 1)).all())


def _mean_over_largest(parameter: Parameter) -> float:
    """Mean of the three numbers of a colour, divided by the largest; 1 for a number."""
    largest = float(parameter.value.max(initial=0.0))
    return float(parameter.value.mean()) / largest if parameter.kind is Kind.COLOR and largest > 0 else 1.0


def _fov_key(value: str) -> str:
    """Key of the field of view of a camera, from its name or the key itself."""
    return value if not isinstance(value, str) or value.endswith(f".{keys.X_FOV}") else keys.of(value, keys.X_FOV)


@frozen(kw_only=True, eq=False)
class FieldOfView(Value):
    """Horizontal field of view of a camera, in degrees.

    Parameters
    ----------
    target : str, default "sensor"
        Name of the camera. In an XML file, a camera without an id is called "sensor".
    bounds : (low, high), default (1, 179)
        Degrees.

    Notes
    -----
    Mitsuba has no derivative with respect to it. The default scale is 5 degrees.
    """

    target: str = field(default=keys.of("sensor", keys.X_FOV), kw_only=False, converter=_fov_key)
    bounds: tuple[float, float] = field(default=(1.0, 179.0))
    scale: float | None = field(default=5.0)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        low, high = as_pairs(self.bounds, 1)[0]
        require("bounds", low > 0 and high < 180, "within (0, 180) degrees", self.bounds)
