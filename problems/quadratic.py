"""QUAD: a quadratic function of two parameters."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from attrs import field, frozen
from numpy.typing import NDArray
from torch import Tensor

from invopt.plugin import Capability, Objective, Problem, real

__all__ = ["Quadratic"]


@frozen(kw_only=True, eq=False)
class Quadratic(Problem):
    r"""The paper's QUAD: :math:`a x_0^2 + b x_1^2 + c x_0 x_1` with its minimum at 0.

    The default coefficients are the paper's.

    Parameters
    ----------
    a, b : float, default 5
        Half of the curvature in each parameter, > 0.
    c : float, default 7.5
        Coupling; there is a minimum if ``c**2 < 4 a b``.
    """

    provides: ClassVar[Capability] = Capability.FUN | Capability.JAC | Capability.HESS

    a: float = field(default=5.0, validator=real(above=0, below=1e100))
    b: float = field(default=5.0, validator=real(above=0, below=1e100))
    c: float = field(default=7.5, validator=real())

    def __attrs_post_init__(self) -> None:
        limit = 2 * math.sqrt(float(self.a) * float(self.b))
        if abs(self.c) >= limit:
            raise ValueError(f"'c' must be within +-2 sqrt(a b) = {limit:g}: {self.c!r}")

    @property
    def x0(self) -> NDArray[np.float64]:
        """A start at a distance of 2.2 from the minimum."""
        return np.array([2.0, -1.0])

    @property
    def x_opt(self) -> NDArray[np.float64]:
        """The minimum."""
        return np.zeros(2)

    @property
    def fun_opt(self) -> float:
        """Value at the minimum."""
        return 0.0

    def starts(self, rng: np.random.Generator, k: int) -> NDArray[np.float64]:
        """`k` starts uniform in the square [-2, 2]^2."""
        return rng.uniform(-2.0, 2.0, (k, 2))

    def open(self) -> Objective:
        """Return the closed form as an objective."""
        return _QuadraticObjective(
            torch.tensor([[self.a, 0.5 * self.c], [0.5 * self.c, self.b]], dtype=torch.float64) * 2
        )


class _QuadraticObjective(Objective):
    def __init__(self, hess: Tensor) -> None:
        self._hess = hess

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        return 0.5 * ((x @ self._hess) * x).sum(1)

    def jac(self, x: Tensor, *, seed: int) -> Tensor:
        return self._hess @ x

    def hess(self, x: Tensor, *, seed: int) -> Tensor:
        return self._hess.clone()
