"""MoreWild: a problem of Moré and Wild's set, as residuals or as values."""

from __future__ import annotations

import zlib
from functools import cache
from typing import Any

import numpy as np
import torch
from attrs import Attribute, field, frozen
from numpy.typing import NDArray
from torch import Tensor

from invopt.exceptions import UnknownNameError, suggest
from invopt.plugin import Capability, Objective, Problem, boolean, integer, one_of, real, require, shown

__all__ = ["NOISE_KINDS", "MoreWild", "MoreWildObjective", "entries", "problem_names"]

Array = NDArray[np.float64]

# Largest size of a residual: its square, and a sum of squares, are finite. Far from their starts some of the functions
# overflow, and the methods need finite numbers.
_LARGEST = 1e100
# Typical change of a parameter as a share of the largest of |x0|, or of 1: the first trust radius of DFO-LS and
# Py-BOBYQA by default.
_SHARE_OF_START = 0.1
# Problems that optimagic has added to the 53 of Moré and Wild's list, dfo.dat.
_ADDED = ("brown_almost_linear_medium",)


# What the noise is added to: each residual, the sum of squares, or that sum as a share of itself.
NOISE_KINDS = ("residuals", "additive", "multiplicative")


@cache
def entries() -> dict[str, dict[str, Any]]:
    """The problems, as the package optimagic describes them."""
    try:
        from optimagic.benchmarking.more_wild import MORE_WILD_PROBLEMS
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"the set of Moré and Wild is in the package 'optimagic' ({error}): pip install 'invopt[bench]'"
        ) from None
    return {name: entry for name, entry in MORE_WILD_PROBLEMS.items() if name not in _ADDED}


def problem_names() -> tuple[str, ...]:
    """Names of the 53 problems, in the order of the package optimagic."""
    return tuple(entries())


@frozen(kw_only=True, eq=False)
class MoreWild(Problem):
    r"""Problem of Moré and Wild's set: nonlinear least squares without bounds.

    The objective is the mean square of the residuals, which is their sum of squares over m. The functions, starts and
    best known values are those of the package optimagic.

    Parameters
    ----------
    name : str
        One of `problem_names`, such as ``"rosenbrock_good_start"``.
    residuals : bool, default True
        Offer the residuals; otherwise their mean square only.
    noise : float, default 0
        Standard deviation of normal noise, >= 0. It is another for each point and each seed, so that no seed makes the
        noise of two points the same; a point and a seed together always have the same noise.
    noise_kind : {"residuals", "additive", "multiplicative"}, default "residuals"
        What the noise is added to: to every residual; or, of values only, to the sum of squares, or to a factor 1 of
        it.
    single : bool, default False
        Round values to single precision; of values only.
    noise_seed : int, default 0
        Number of the realisation of the noise.

    References
    ----------
    .. [1] Moré, Wild, "Benchmarking derivative-free optimization algorithms", SIAM J. Optim. 20(1), 2009, section 4.
    """

    name: str = field()
    residuals: bool = field(default=True, validator=boolean)
    noise: float = field(default=0.0, validator=real(minimum=0))
    noise_kind: str = field(default="residuals", validator=one_of(*NOISE_KINDS))
    single: bool = field(default=False, validator=boolean)
    noise_seed: int = field(default=0, validator=integer(0))

    @name.validator
    def _check_name(self, _: Attribute[str], value: Any) -> None:
        if value not in entries():
            near = suggest(value, entries()) if isinstance(value, str) else ""
            raise UnknownNameError(f"'name': no problem of Moré and Wild {shown(value)}; {near}")

    def __attrs_post_init__(self) -> None:
        own = self.noise_kind != "residuals" or self.single
        require("residuals", not (own and self.residuals), "False for noise of the value, or single precision", True)

    @property
    def provides(self) -> Capability:  # type: ignore[override]
        """Values, and the residuals unless they are hidden."""
        return Capability.FUN | Capability.RESIDUALS if self.residuals else Capability.FUN

    @property
    def x0(self) -> Array:
        """The start of Moré and Wild."""
        return np.array(entries()[self.name]["start_x"], dtype=np.float64)

    @property
    def x_scale(self) -> Array:
        """A tenth of the largest component of the start or of 1, for every parameter."""
        return np.full(self.n, _SHARE_OF_START * max(float(np.abs(self.x0).max()), 1.0))

    @property
    def fun_opt(self) -> float:
        """Best known value."""
        m = self.open().noise_free_residuals(self.x0).size
        return float(entries()[self.name]["solution_criterion"]) / m

    def starts(self, rng: np.random.Generator, k: int) -> Array:
        """Return the start of Moré and Wild, `k` times."""
        return np.tile(self.x0, (k, 1))

    def open(self) -> MoreWildObjective:
        """Return the function as an objective."""
        return MoreWildObjective(self)


class MoreWildObjective(Objective):
    """A function of the set.

    Parameters
    ----------
    problem : MoreWild
        The problem.
    """

    def __init__(self, problem: MoreWild) -> None:
        self._problem = problem
        self._residuals = entries()[problem.name]["fun"]

    def noise_free_residuals(self, x: Array) -> Array:
        """Residuals of shape (m,) at a point, without noise; never counted."""
        with np.errstate(all="ignore"):
            found = np.asarray(self._residuals(x), dtype=np.float64)
        return np.clip(np.nan_to_num(found, nan=_LARGEST), -_LARGEST, _LARGEST)

    def noise_free(self, x: Tensor) -> Array:
        """Values of shape (k,) at the rows of `x`, without noise; never counted."""
        return np.array([np.mean(self.noise_free_residuals(row) ** 2) for row in x.numpy().copy()])

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Mean squares of the residuals, with their noise and rounding."""
        problem = self._problem
        if problem.noise_kind == "residuals":
            values = self.residuals(x, seed=seed).square().mean(1).numpy()
        else:
            rows = zip(x.numpy().copy(), np.asarray(seed).tolist(), strict=True)
            values = np.array([self._noisy_value(row, int(s)) for row, s in rows])
        if problem.single:
            # The largest values overflow to inf, as a simulator's would.
            with np.errstate(over="ignore"):
                values = values.astype(np.float32).astype(np.float64)
        return torch.from_numpy(values)

    def residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Residuals with their noise."""
        rows = zip(x.numpy().copy(), np.asarray(seed).tolist(), strict=True)
        return torch.from_numpy(np.stack([self._noisy(row, int(s)) for row, s in rows]))

    def _noisy(self, x: Array, seed: int) -> Array:
        clean = self.noise_free_residuals(x)
        if self._problem.noise == 0.0:
            return clean
        noise: Array = self._problem.noise * self._rng(x, seed).standard_normal(clean.size)
        return clean + noise

    def _noisy_value(self, x: Array, seed: int) -> float:
        clean = self.noise_free_residuals(x)
        value, noise = float(np.mean(clean**2)), self._problem.noise * float(self._rng(x, seed).standard_normal())
        return value * (1 + noise) if self._problem.noise_kind == "multiplicative" else value + noise / clean.size

    def _rng(self, x: Array, seed: int) -> np.random.Generator:
        """Generator of the noise of a point and a seed."""
        return np.random.default_rng([self._problem.noise_seed, seed, zlib.crc32(x.tobytes())])
