"""The one place where evaluations happen: scaled, projected, counted, budgeted, checked."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invopt._problem import ADJOINT, Adjoint, Capability, Objective
from invopt._result import Status
from invopt._sides import Sides
from invopt._workers import Chunk, SharedObjective
from invopt.exceptions import EvaluationError, InvoptError, NonFiniteError

__all__ = ["HESS_COST", "JAC_COST", "Budget", "Evaluator", "StopRun", "price_of"]

# Evaluations that a value with its derivative counts as: one pass forwards, one backwards.
JAC_COST = 2
# What a Hessian counts as on top: one call, of the user's or of a closed form.
HESS_COST = 1
# Rows of a chunk, where the objective has no wish of its own.
_BLOCK = 256


class StopRun(Exception):  # noqa: N818 - a signal to the loop, not an error
    """Ends the run with a status; raised before an evaluation that would overrun a budget."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.value)
        self.status = status


@attrs.frozen
class Budget:
    """Limits that the evaluator keeps: never one evaluation over."""

    maxfev: float = math.inf
    deadline: float = math.inf
    max_nonfinite: float = 0.5


@attrs.define
class Counts:
    """What has been spent, for all evaluators of a run."""

    nfev: int = 0
    n_nonfinite: int = 0


class Evaluator:
    """Objective as estimators see it: points in units of `x_scale`, inside the bounds, every value counted.

    Parameters
    ----------
    objective : Objective
        The live objective.
    provides : Capability
        What it can be asked for.
    x_scale : Tensor, shape (n,)
        Units of each parameter.
    bounds : tuple of Tensor, optional
        Lower and upper bounds, in the problem's own units. Points outside are projected, so that f is extended by its
        value on the boundary.
    budget : Budget, default Budget()
        Limits.
    samples : int, optional
        Samples per pixel of one evaluation: one with more counts as several.
    """

    # What the names of the objective's methods begin with.
    prefix = ""

    def __init__(
        self,
        objective: Objective,
        provides: Capability,
        x_scale: Tensor,
        bounds: tuple[Tensor, Tensor] | None = None,
        budget: Budget = Budget(),
        samples: int | None = None,
    ) -> None:
        self.objective = objective
        self.provides = provides
        self.n = x_scale.numel()
        self.counts = Counts()
        self.x_scale = x_scale
        self._unit = bool((x_scale == 1).all())
        self._bounds = bounds
        self._scaled = None if bounds is None else (bounds[0] / x_scale, bounds[1] / x_scale)
        self.budget = budget
        self.samples = samples
        # Number of residuals, once known.
        self._m: int | None = None

    @property
    def nfev(self) -> int:
        """Evaluations so far."""
        return self.counts.nfev

    @property
    def n_nonfinite(self) -> int:
        """Those of them that were not finite."""
        return self.counts.n_nonfinite

    def spend(self, k: int) -> None:
        """Count `k` evaluations."""
        self.counts.nfev += k

    def check_budget(self, k: int) -> None:
        """End the run unless `k` more evaluations are within the budget."""
        if self.nfev + k > self.budget.maxfev:
            raise StopRun(Status.MAXFEV)

    def check_time(self) -> None:
        """End the run if its time is over."""
        if time.perf_counter() >= self.budget.deadline:
            raise StopRun(Status.MAXTIME)

    def project(self, x: Tensor) -> Tensor:
        """Nearest point inside the bounds."""
        return x if self._scaled is None else torch.clamp(x, *self._scaled)

    def width(self, x: Tensor) -> Tensor:
        """Widths of the box, shape (n,); inf where it is open."""
        return torch.full_like(x, math.inf) if self._scaled is None else self._scaled[1] - self._scaled[0]

    def inside(self, x: Tensor, margin: Tensor) -> Tensor:
        """Nearest point that is `margin` away from the bounds in every parameter; the box must be that wide."""
        return x if self._scaled is None else torch.clamp(x, self._scaled[0] + margin, self._scaled[1] - margin)

    def projected_gradient(self, x: Tensor, jac: Tensor) -> Tensor:
        """Gradient with the components dropped that only push against an active bound."""
        return jac if self._scaled is None else torch.where(self.free(x, jac), jac, 0.0)

    def free(self, x: Tensor, jac: Tensor) -> Tensor:
        """Which parameters are not pressed against a bound, shape (n,)."""
        if self._scaled is None:
            return torch.ones_like(x, dtype=torch.bool)
        lower, upper = self._scaled
        return ~(((x <= lower) & (jac > 0)) | ((x >= upper) & (jac < 0)))

    def unscale(self, x: Tensor) -> Tensor:
        """Nearest point inside the bounds, in the problem's own units."""
        points = x if self._unit else x * self.x_scale
        # After the change of units, whose rounding could leave the bounds by the last bit.
        return points if self._bounds is None else torch.clamp(points, *self._bounds)

    def rows(self, x: Tensor) -> Tensor:
        """What the objective is handed for the points `x`."""
        return self.unscale(x)

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Values of shape (k,) at the rows of `x`; a non-finite value becomes nan."""
        return self._run("fun", x, seed, spp)

    def residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Residuals of shape (k, m) at the rows of `x`; one evaluation a row."""
        return self._run("residuals", x, seed, spp)

    def values_and_jacs(
        self, x: Tensor, *, seed: NDArray[np.int64], adjoint: Adjoint = ADJOINT
    ) -> tuple[Tensor, Tensor]:
        """Values of shape (k,) and the objective's own derivatives of shape (k, n) at one point, one for each seed."""
        point = self.rows(self.project(x))
        values, jacs = [], []
        for each in seed.tolist():
            self.check_budget(JAC_COST)
            self.check_time()
            value, jac = self._asked(f"{self.prefix}value_and_jac", point, seed=each, adjoint=adjoint)
            self.spend(JAC_COST)
            values.append(float(value))
            jacs.append(jac * self.x_scale)
        found = torch.tensor(values, dtype=torch.float64), torch.stack(jacs)
        if not all(bool(torch.isfinite(part).all()) for part in found):
            raise NonFiniteError("the derivative is not finite; bound the parameters or repair the objective")
        return found

    def hess(self, x: Tensor, *, seed: int) -> Tensor:
        """The objective's own Hessian of shape (n, n) at one point."""
        point = self.rows(self.project(x))
        self.check_budget(HESS_COST)
        self.check_time()
        hess: Tensor = self._asked(f"{self.prefix}hess", point, seed=seed) * torch.outer(self.x_scale, self.x_scale)
        self.spend(HESS_COST)
        if not bool(torch.isfinite(hess).all()):
            raise NonFiniteError("the Hessian is not finite; bound the parameters or repair the objective")
        return hess

    def _asked(self, name: str, point: Tensor, **options: Any) -> Any:
        """What a method of the objective returns; an exception says how many evaluations were before."""
        try:
            return getattr(self.objective, name)(point, **options)
        except InvoptError:
            raise
        except Exception as error:
            what = "the objective" if name == "sides" else "the derivative of the objective"
            raise EvaluationError(
                f"{what} raised {type(error).__name__}: {error}; after {self.nfev} evaluations"
            ) from error

    def sides(self, x: Tensor, *, seed: int, step: int, differentiate_right: bool) -> Sides:
        """Both sides of the equation at `x` of shape (n,), in the problem's own units; counts as one evaluation."""
        self.check_budget(1)
        self.check_time()
        options = {"seed": seed, "step": step, "differentiate_right": differentiate_right}
        sides: Sides = self._asked("sides", self.unscale(x), **options)
        self.spend(1)
        return sides

    def scale_gradient(self, jac: Tensor) -> Tensor:
        """A derivative in the problem's own units, in units of `x_scale`."""
        return jac if self._unit else jac * self.x_scale

    def _run(self, name: str, x: Tensor, seed: NDArray[np.int64], spp: int | None) -> Tensor:
        k, price = x.shape[0], price_of(spp, self.samples)
        self.check_budget(k * price)
        points, size = self.rows(x), self.objective.chunk_size or _BLOCK
        # Copies, for arithmetic on rows that begin anywhere in memory could differ in the last bits.
        chunks = [(points[i : i + size].clone(), seed[i : i + size]) for i in range(0, k, size)]
        parts = []
        with closing(self._results(self.prefix + name, chunks, spp)) as results:
            for rows, _ in chunks:
                part = self._next(results, rows, 2 if name == "residuals" else 1)
                if part is not None:
                    parts.append(part)
                    self.spend(rows.shape[0] * price)
        if len(parts) < len(chunks):
            raise StopRun(Status.MAXTIME)
        values = parts[0] if len(parts) == 1 else torch.cat(parts)
        finite = torch.isfinite(values)
        return values if bool(finite.all()) else self._mark_nonfinite(values, finite)

    def _results(self, name: str, chunks: list[Chunk], spp: int | None) -> Generator[Tensor | None]:
        """Results of the chunks in order; None, or none any more, for those not begun before the deadline."""
        if isinstance(self.objective, SharedObjective):
            yield from self.objective.share(name, chunks, spp, self.budget.deadline)
            return
        method = getattr(self.objective, name)
        for rows, seeds in chunks:
            if time.perf_counter() >= self.budget.deadline:
                return
            yield torch.as_tensor(method(rows, seed=seeds, spp=spp))

    def _next(self, results: Iterator[Tensor | None], rows: Tensor, ndim: int) -> Tensor | None:
        """The result at `rows`, checked; an exception says where it happened."""
        try:
            values = next(results, None)
            if values is not None:
                _check_shape(values, rows, ndim)
                if ndim == 2:
                    self._check_residuals(values.shape[1])
            return values
        except Exception as error:
            what = str(error) if isinstance(error, EvaluationError) else f"raised {type(error).__name__}: {error}"
            subject = "" if isinstance(error, EvaluationError) else "the objective "
            raise EvaluationError(f"{subject}{what}; after {self.nfev} evaluations, at x = {_brief(rows)}") from error

    def _check_residuals(self, m: int) -> None:
        self._m = m if self._m is None else self._m
        if m != self._m:
            raise EvaluationError(f"there must be as many residuals at every point: {m} after {self._m}")

    def _mark_nonfinite(self, values: Tensor, finite: Tensor) -> Tensor:
        bad = ~(finite if values.ndim == 1 else finite.all(1))
        self.counts.n_nonfinite += int(bad.sum())
        share = float(bad.double().mean())
        if share > self.budget.max_nonfinite or share == 1.0:
            raise NonFiniteError(
                f"{int(bad.sum())} of {values.shape[0]} values of one call are not finite, a share above "
                f"'max_nonfinite' = {self.budget.max_nonfinite:g}; bound the parameters or repair the objective"
            )
        marked = values.clone()
        marked[bad] = math.nan
        return marked


def price_of(spp: int | None, samples: int | None) -> int:
    """What an evaluation with `spp` samples per pixel counts where one has `samples`, or has none."""
    return 1 if spp is None or samples is None else math.ceil(spp / samples)


def _check_shape(values: Tensor, rows: Tensor, ndim: int) -> None:
    if values.ndim != ndim or values.shape[0] != rows.shape[0]:
        raise EvaluationError(
            f"the objective must return {'(k, m)' if ndim == 2 else '(k,)'} values for points of shape "
            f"{tuple(rows.shape)}, got shape {tuple(values.shape)}"
        )


def _brief(rows: Tensor) -> str:
    return np.array2string(rows.detach().cpu().numpy(), precision=6, threshold=16)
