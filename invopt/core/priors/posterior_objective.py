"""Objective with a Gaussian prior or a log density."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.objective import ADJOINT, Adjoint, Objective
from invopt.core.priors.log_density import LogDensity
from invopt.core.quadratic.linear_rows import LinearRows

__all__ = ["PosteriorObjective"]


class PosteriorObjective(Objective):
    r"""An objective and a prior.

    Where the objective is a mean of m squares, of residuals whose noise has the standard deviation s, the logarithm of
    the likelihood is :math:`-m f / (2 s^2)`, and the prior adds :math:`s^2 \sum z^2 / m` to f. Its rows follow the
    residuals; all are scaled so that the mean of their squares is this sum. Any other objective is a negative
    log-likelihood, to which the negative log density is added.

    Parameters
    ----------
    inner : Objective
        The objective.
    prior : LinearRows or LogDensity
        The prior.
    noise_std : float or None
        Standard deviation s of a residual's noise; None if the objective is no mean of squares.
    """

    def __init__(self, inner: Objective, prior: LinearRows | LogDensity, noise_std: float | None) -> None:
        self.inner, self._density = inner, prior if isinstance(prior, LogDensity) else None
        self.describe_as(inner.described())
        self.answers_all = inner.answers_all
        self.noise_std = noise_std
        self.prior = prior if isinstance(prior, LinearRows) else None

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Values with the prior's share, shape (k,)."""
        if self.noise_std is None:
            return self.inner.fun(x, seed=seed, spp=spp).double() + self._nats(x)
        if self.prior is not None:
            return self.residuals(x, seed=seed, spp=spp).square().mean(1)
        rows = self.inner.residuals(x, seed=seed, spp=spp).double()
        return rows.square().mean(1) + self._value_of_nat(rows.shape[1]) * self._nats(x)

    def residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Residuals and rows of the prior, shape (k, m + p)."""
        assert self.prior is not None
        rows = self.inner.residuals(x, seed=seed, spp=spp).double()
        m = rows.shape[1]
        z = math.sqrt(0.5 * m * self._value_of_nat(m)) * torch.from_numpy(self.prior.at(x.numpy()))
        return math.sqrt((m + self.prior.size) / m) * torch.cat([rows, z], 1)

    def value_and_jac(
        self, x: Tensor, *, seed: int, spp: int | None = None, adjoint: Adjoint = ADJOINT
    ) -> tuple[float, Tensor]:
        """Value and derivative, shape (n,)."""
        assert self.prior is not None
        value, jac = self.inner.value_and_jac(x, seed=seed, spp=spp, adjoint=adjoint)
        nat = self._value_of_nat(None if self.noise_std is None else self._count(x, seed))
        more = nat * torch.from_numpy(self.prior.gradient(x.numpy()))
        return value + nat * float(self._nats(x[None])[0]), jac.double() + more

    def jac(self, x: Tensor, *, seed: int) -> Tensor:
        """Derivative, shape (n,)."""
        return self.value_and_jac(x, seed=seed)[1]

    def hess(self, x: Tensor, *, seed: int) -> Tensor:
        """Hessian, shape (n, n)."""
        assert self.prior is not None
        nat = self._value_of_nat(None if self.noise_std is None else self._count(x, seed))
        return self.inner.hess(x, seed=seed).double() + nat * torch.from_numpy(self.prior.hess())

    def _nats(self, x: Tensor) -> Tensor:
        """Negative log density at the rows of `x`, up to a constant."""
        points = x.numpy()
        if self._density is not None:
            return torch.from_numpy(-self._density.at(points))
        assert self.prior is not None
        return torch.from_numpy(0.5 * np.square(self.prior.at(points)).sum(1))

    def _value_of_nat(self, m: int | None) -> float:
        """By how much one nat of the prior raises the value."""
        if self.noise_std is None:
            return 1.0
        assert m is not None
        return 2 * self.noise_std**2 / (self.n_residuals or m)

    def _count(self, x: Tensor, seed: int) -> int:
        """Number of residuals, which is asked for once."""
        if self.n_residuals is None:
            self.n_residuals = self.inner.residuals(x[None], seed=np.array([seed])).shape[1]
        return self.n_residuals

    @property
    def blind_spots(self) -> str:
        """What the objective's derivative leaves out."""
        return self.inner.blind_spots

    def set_target(self, target: NDArray[Any]) -> None:
        """Replace the target."""
        self.inner.set_target(target)

    def image(self, x: NDArray[np.float64], *, seed: int = 0, spp: int | None = None) -> NDArray[Any] | None:
        """Picture at `x`."""
        return self.inner.image(x, seed=seed, spp=spp)

    def write(self, x: NDArray[np.float64], out: Path) -> list[Path]:
        """Write further files for `x`."""
        return self.inner.write(x, out)

    def close(self) -> None:
        """Release the objective."""
        self.inner.close()

    def __getattr__(self, name: str) -> Any:
        # What only the inner objective has, such as a scene's pictures beside its photographs.
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)
