"""The one place where evaluations happen: counted, budgeted, checked."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence
from contextlib import closing

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.evaluator import HESS_COST, JAC_COST, price_of
from invopt.core.machine.clock import Clock
from invopt.core.objective import ADJOINT, Adjoint, Capability, Objective
from invopt.core.outcome import Chunk, Limits, Outcome
from invopt.core.residual_equation import Sides
from invopt.core.result import Status
from invopt.evaluate.budget import UNBOUNDED, Budget, StopRun
from invopt.evaluate.failures import Counts, counts_as_failed, finished, levelled
from invopt.evaluate.rows import brief, check_shape
from invopt.evaluate.scaled import ScaledEvaluator
from invopt.evaluate.seen import Seen
from invopt.evaluate.sought import Sought
from invopt.exceptions import EvaluationError, EvaluationTimeoutError, InvoptError, NonFiniteError, WrongValueError

__all__ = ["CountingEvaluator"]

# Share of a time limit that is kept for the evaluations of the answer, at most.
_MOST_TIME_KEPT = 0.2
# Share of their size by which values differ for rounding alone.
_ROUNDING = 1e-12
# Rows of a chunk, where the objective has no wish of its own.
_BLOCK = 256


class CountingEvaluator(ScaledEvaluator):
    """Evaluates what estimators ask for, counts it, and ends the run at the limits of its budget.

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
    sought : Sought, optional
        Which of the problem's parameters the n are; by default all.
    clock : Clock, optional
        The run's; by default a new one.
    """

    # What the names of the objective's methods begin with.
    prefix = ""

    def __init__(
        self,
        objective: Objective,
        provides: Capability,
        x_scale: Tensor,
        bounds: tuple[Tensor, Tensor] | None = None,
        budget: Budget = UNBOUNDED,
        samples: int | None = None,
        sought: Sought | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(x_scale, bounds, sought)
        self.objective = objective
        self.provides = provides
        self.counts = Counts()
        self.budget = budget
        self.samples = samples
        self.clock = Clock() if clock is None else clock
        self.seen = Seen()
        # Whether one evaluation is kept for the start as long as it has none.
        self._keeps_for_start = False
        # Whether values at one point were seen to differ.
        self.is_noisy = False
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

    def keep_one_for(self, start: Tensor) -> None:
        """Keep one evaluation for a start of shape (n,), in units of `x_scale`, until it has been evaluated."""
        self.seen.await_start(start)
        self._keeps_for_start = True

    def keep_nothing(self) -> None:
        """Leave all of the budget to the answer, for which some was kept."""
        self.counts.reserved = 0
        self._keeps_for_start = False

    def check_budget(self, k: int) -> None:
        """End the run unless `k` more evaluations are within the budget."""
        if self.nfev + k > self.affordable:
            raise StopRun(Status.MAXFEV)

    def check_time(self) -> None:
        """End the run if its time is over."""
        if time.perf_counter() >= self.deadline:
            raise StopRun(Status.MAXTIME)

    @property
    def affordable(self) -> float:
        """Evaluations that the run may have spent in all, without those kept for the answer."""
        return self.budget.maxfev - max(self.counts.reserved, int(self._keeps_one))

    @property
    def _keeps_one(self) -> bool:
        return self._keeps_for_start and self.seen.awaited is not None

    @property
    def seconds_each(self) -> float:
        """Seconds that an evaluation has taken so far, on average; where workers share them, less than each takes."""
        return self.counts.seconds / max(self.nfev, 1)

    @property
    def deadline(self) -> float:
        """When the last evaluation may begin, on the clock of `time.perf_counter`: in time for those of the answer."""
        kept = min(self.counts.reserved * self.seconds_each, _MOST_TIME_KEPT * self.budget.maxtime)
        if self._keeps_one:
            # For the start a whole evaluation, if it takes no more than half of the time.
            kept = max(kept, min(self.seconds_each, self.budget.maxtime / 2))
        return self.clock.deadline(self.budget.maxtime - (kept if math.isfinite(kept) else 0.0))

    def rows(self, x: Tensor) -> Tensor:
        """What the objective is handed for the points `x`."""
        return self.unscale(x)

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None, keep_inf: bool = False) -> Tensor:
        """Values of shape (k,) at the rows of `x`; of a failed evaluation nan.

        Where the objective is inf, the value is the largest finite one of the run so far, from which a sampled slope
        leads away; or, with `keep_inf`, inf.
        """
        return self._run("fun", x, seed, spp, keep_inf=keep_inf)

    def levelled(self, values: Tensor) -> Tensor:
        """Values with the highest finite one of the run where they are inf."""
        return levelled(values, self.counts)

    @property
    def blind_spots(self) -> str:
        """What the objective's derivative is known to leave out."""
        return self.objective.blind_spots

    def residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Residuals of shape (k, m) at the rows of `x`; one evaluation a row; of a failed evaluation nan."""
        return self._run("residuals", x, seed, spp)

    def values_and_jacs(
        self, x: Tensor, *, seed: NDArray[np.int64], adjoint: Adjoint = ADJOINT
    ) -> tuple[Tensor, Tensor]:
        """Values of shape (k,) and the objective's own derivatives of shape (k, n) at one point, one for each seed."""
        point = self.rows(self.project(x))
        affordable = int(min(len(seed), max(self._affordable_at(x[None]) - self.nfev, 0) / JAC_COST))
        chunks = [Chunk(point[None].clone(), seed[i : i + 1]) for i in range(affordable)]
        found = self._gather("value_and_jac", chunks, None, JAC_COST, adjoint, points=[x[None]] * affordable)
        if affordable < len(seed):
            raise StopRun(Status.MAXFEV)
        rows = torch.cat(found)
        self._check_derivative(rows)
        self._note(x.expand(len(rows), -1), rows[:, 0])
        jacs = rows[:, 1:] if self._sought is None else rows[:, 1:][:, self._sought.free]
        return rows[:, 0], jacs * self.x_scale

    def hess(self, x: Tensor, *, seed: int) -> Tensor:
        """The objective's own Hessian of shape (n, n) at one point."""
        self.check_budget(HESS_COST)
        point = self.rows(self.project(x))
        chunk = Chunk(point[None].clone(), np.array([seed]))
        (found,) = self._gather("hess", [chunk], None, HESS_COST)
        self._check_derivative(found)
        hess = found.reshape(self._whole, self._whole)
        if self._sought is not None:
            hess = hess[self._sought.free][:, self._sought.free]
        return hess * torch.outer(self.x_scale, self.x_scale)

    def _check_derivative(self, rows: Tensor) -> None:
        """Count the rows that are not finite, and raise if there are any: nothing can stand for a derivative."""
        lost = int((~torch.isfinite(rows).all(1)).sum())
        if lost == 0:
            return
        self.counts.n_nonfinite += lost
        self.counts.n_failed += lost
        last = f"; the last failure: {self.counts.last_failure}" if self.counts.last_failure else ""
        raise NonFiniteError(f"the derivative is not finite; bound the parameters or repair the objective{last}")

    def sides(self, x: Tensor, *, seed: int, step: int, differentiate_right: bool) -> Sides:
        """Both sides of the equation at `x` of shape (n,), in the problem's own units; counts as one evaluation."""
        self.check_budget(1)
        self.check_time()
        try:
            sides = self.objective.sides(self.unscale(x), seed=seed, step=step, differentiate_right=differentiate_right)
        except InvoptError:
            raise
        except Exception as error:
            raise EvaluationError(
                f"the objective raised {type(error).__name__}: {error}; after {self.nfev} evaluations"
            ) from error
        self.spend(1)
        return sides

    def _run(self, name: str, x: Tensor, seed: NDArray[np.int64], spp: int | None, *, keep_inf: bool = False) -> Tensor:
        k, price = x.shape[0], price_of(spp, self.samples)
        if self.nfev + k * price > self._affordable_at(x):
            raise StopRun(Status.MAXFEV)
        points, size = self.rows(x), self.objective.chunk_size or _BLOCK
        # Copies, for arithmetic on rows that begin anywhere in memory could differ in the last bits.
        chunks = [Chunk(points[i : i + size].clone(), seed[i : i + size]) for i in range(0, k, size)]
        parts = self._gather(name, chunks, spp, price, points=[x[i : i + size] for i in range(0, k, size)])
        values = parts[0] if len(parts) == 1 else torch.cat(parts)
        self._note(x, values)
        return finished(values, self.counts, self.budget.max_nonfinite, keep_inf=keep_inf)

    def _affordable_at(self, x: Tensor) -> float:
        """Evaluations in all if the next are at the rows of `x`: none is kept for a start that is among them."""
        if not self._keeps_one or not self.seen.awaits(self.project(x)):
            return self.affordable
        return self.budget.maxfev - self.counts.reserved

    def _note(self, x: Tensor, values: Tensor) -> None:
        """Remember the lowest value among those at the rows of `x`, and where it was."""
        whole = values.detach().cpu().double()
        funs = whole if whole.ndim == 1 else whole.square().mean(1)
        self.seen.add(self.project(x), funs.numpy())
        if not self.is_noisy and len(x) > 1:
            again = (x[1:] == x[:-1]).all(1)
            self.is_noisy = bool((again & ((funs[1:] - funs[:-1]).abs() > _ROUNDING * funs[1:].abs())).any())

    def _gather(
        self,
        name: str,
        chunks: Sequence[Chunk],
        spp: int | None,
        price: int,
        adjoint: Adjoint = ADJOINT,
        points: Sequence[Tensor] = (),
    ) -> list[Tensor]:
        """Values of the chunks in order, each checked and counted; ends the run if the deadline cuts some off.

        `points` are those of each chunk, in units of `x_scale`. Whatever ends the run in between, the values that are
        there by then are noted.
        """
        began, parts = self.clock(), dict[int, Tensor | None]()
        try:
            self._collect(name, chunks, spp, price, adjoint, parts)
        except BaseException:
            for i, values in parts.items():
                if values is not None and points:
                    self._note(points[i], values[:, 0] if name == "value_and_jac" else values)
            raise
        finally:
            self.counts.seconds += self.clock() - began
        return self._filled(name, list(parts.values()), chunks)

    def _collect(
        self,
        name: str,
        chunks: Sequence[Chunk],
        spp: int | None,
        price: int,
        adjoint: Adjoint,
        parts: dict[int, Tensor | None],
    ) -> None:
        """Put the values of each chunk into `parts` by its number, as they come; None where it failed."""
        limits = Limits(deadline=self.deadline, timeout=self.budget.timeout)
        outcomes = self.objective.evaluate(self.prefix + name, chunks, spp=spp, limits=limits, adjoint=adjoint)
        with closing(outcomes):
            for i, chunk in enumerate(chunks):
                outcome = self._next(name, outcomes, chunk)
                if outcome is None:
                    continue
                if outcome.failure is not None:
                    self._count_failure(name, outcome.failure, chunk)
                parts[i] = outcome.values
                self.spend(chunk.rows.shape[0] * price)
        if len(parts) < len(chunks):
            raise StopRun(Status.MAXTIME)

    def _next(self, name: str, outcomes: Generator[Outcome | None], chunk: Chunk) -> Outcome | None:
        """What came of a chunk, checked; an exception says where it happened."""
        try:
            outcome = next(outcomes, None)
            if outcome is not None and outcome.failure is None:
                assert outcome.values is not None
                check_shape(outcome.values, chunk.rows, 1 if name == "fun" else 2)
                if name == "residuals":
                    self._check_residuals(outcome.values.shape[1])
            return outcome
        except Exception as error:
            if isinstance(error, InvoptError) and not isinstance(error, EvaluationError):
                raise
            raise self._described(name, error, chunk.rows) from error

    def _count_failure(self, name: str, error: Exception, chunk: Chunk) -> None:
        """Count an evaluation that failed, or raise."""
        if not counts_as_failed(error) and name in ("value_and_jac", "hess"):
            raise error
        said = self._described(name, error, chunk.rows)
        if not counts_as_failed(error):
            raise said from error
        if self.budget.failures == "raise":
            raise type(said)(f"{said}; with failures='nan' it would count as a failed evaluation") from error
        self.counts.note(str(said), chunk.rows.shape[0])

    def _filled(self, name: str, parts: Sequence[Tensor | None], chunks: Sequence[Chunk]) -> list[Tensor]:
        """Values with nan for the chunks that failed."""
        whole = self._whole
        shapes = {"fun": (), "residuals": (self._m or 1,), "value_and_jac": (whole + 1,), "hess": (whole**2,)}
        shape = shapes[name]
        known = next((part.dtype for part in parts if part is not None), torch.float64)
        return [
            torch.full((len(chunk.rows), *shape), math.nan, dtype=known) if part is None else part
            for part, chunk in zip(parts, chunks, strict=True)
        ]

    def _described(self, name: str, error: Exception, rows: Tensor) -> EvaluationError:
        subject = "the derivative of the objective" if name in ("value_and_jac", "hess") else "the objective"
        what = str(error) if isinstance(error, EvaluationError) else f"{subject} raised {type(error).__name__}: {error}"
        kind = EvaluationTimeoutError if isinstance(error, EvaluationTimeoutError) else EvaluationError
        return kind(f"{what}; after {self.nfev} evaluations, at x = {brief(rows)}")

    def _check_residuals(self, m: int) -> None:
        self._m = m if self._m is None else self._m
        if m != self._m:
            raise WrongValueError(f"there must be as many residuals at every point: {m} after {self._m}")
