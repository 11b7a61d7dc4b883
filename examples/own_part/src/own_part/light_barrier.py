"""A bar in front of a row of light sensors."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from attrs import field, frozen
from numpy.typing import NDArray
from scipy.optimize import Bounds
from torch import Tensor

from invopt.plugin import Capability, Objective, Problem, integer, real

__all__ = ["LightBarrier"]


@frozen(kw_only=True, eq=False)
class LightBarrier(Problem):
    """Find a bar from the shadow that it casts on a row of light sensors.

    A sensor reads 1 in the light and 0 in the shadow, plus Gaussian noise. The residuals are the readings minus those
    of a bar at 0.62 that is 0.25 wide. They change in steps: a bar that moves by less than the distance between two
    sensors may change no reading.

    Parameters
    ----------
    n_sensors : int, default 200
        Sensors in the row, which is 1 long; at least 2.
    noise : float, default 0.05
        Standard deviation of the noise of a reading, >= 0.
    """

    provides: ClassVar[Capability] = Capability.FUN | Capability.RESIDUALS

    n_sensors: int = field(default=200, validator=integer(2))
    noise: float = field(default=0.05, validator=real(minimum=0))

    @property
    def names(self) -> tuple[str, ...]:
        """Middle of the bar, and its width."""
        return "middle", "width"

    @property
    def x0(self) -> NDArray[np.float64]:
        """A bar whose shadow does not touch that of the right one."""
        return np.array([0.4, 0.15])

    @property
    def bounds(self) -> Bounds:
        """The middle is in front of the row; the bar is narrower than the row."""
        return Bounds([0.0, 0.05], [1.0, 0.6])

    @property
    def x_scale(self) -> NDArray[np.float64]:
        """An eighth of the box."""
        return np.array([1.0, 0.55]) / 8

    @property
    def x_opt(self) -> NDArray[np.float64]:
        """The right bar."""
        return np.array([0.62, 0.25])

    @property
    def fun_opt(self) -> float:
        """Expected value at the right bar: the variance of the noise."""
        return self.noise**2

    def open(self) -> Objective:
        """Set up the sensors."""
        return _Sensors(self)


class _Sensors(Objective):
    def __init__(self, problem: LightBarrier) -> None:
        self._positions = torch.linspace(0, 1, problem.n_sensors, dtype=torch.float64)
        self._noise = problem.noise
        self._target = self._light(torch.from_numpy(problem.x_opt)[None])

    def _light(self, x: Tensor) -> Tensor:
        middle, width = x[:, :1], x[:, 1:]
        return ((self._positions - middle).abs() > width / 2).double()

    def residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        noise = [np.random.default_rng(s).normal(0, self._noise, len(self._positions)) for s in seed]
        return self._light(x) + torch.from_numpy(np.stack(noise)) - self._target

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        return self.residuals(x, seed=seed).square().mean(dim=1)
