"""Evaluator that has chunks of points evaluated, and checks and counts values."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from contextlib import closing

import torch
from attrs import field, frozen
from torch import Tensor

from invopt.core.answers.shading import residuals_of
from invopt.core.machine.clock import Clock
from invopt.core.objective import ADJOINT, Adjoint, Objective
from invopt.core.outcome import Chunk, Limits, Outcome
from invopt.core.result import Status
from invopt.evaluate.budget import Budget, StopRun
from invopt.evaluate.budgeted import BudgetedEvaluator
from invopt.evaluate.failures import counts_as_failed
from invopt.evaluate.rows import brief, check_shape
from invopt.evaluate.sought import Sought
from invopt.exceptions import EvaluationError, EvaluationTimeoutError, InvoptError, WrongValueError

__all__ = ["ChunkedEvaluator", "Request"]

# Values at one point that differ by at most this share of their size differ by rounding alone: sums in another order
# lose some of float64's 16 digits.
_SAME_VALUE_RTOL = 1e-12
# Methods of an objective that give derivatives: what they raise is not described as an error of its values.
_DERIVATIVES = ("value_and_jac", "hess", "shading")


@frozen(eq=False)
class Request:
    """What to ask the objective for.

    Parameters
    ----------
    name : {"fun", "residuals", "constrained", "value_and_jac", "hess", "shading"}
        Method of the objective.
    chunks : sequence of Chunk
        Points and seeds.
    spp : int or None
        Samples per pixel; None for the problem's own.
    price : int
        Evaluations that one row counts as.
    adjoint : Adjoint, default Adjoint()
        How the derivative is computed.
    points : sequence of Tensor, default ()
        Points of each chunk in units of `x_scale`; empty if they are not to be noted.
    """

    name: str
    chunks: Sequence[Chunk]
    spp: int | None
    price: int
    adjoint: Adjoint = ADJOINT
    points: Sequence[Tensor] = field(default=())


class ChunkedEvaluator(BudgetedEvaluator):
    """Has the objective evaluate chunks of points.

    Checks, counts and remembers the values.

    Parameters
    ----------
    objective : Objective
        The open objective.
    x_scale, bounds, sought, budget, clock
        As of `BudgetedEvaluator`.
    """

    # Prefix of the names of the objective's methods.
    prefix = ""

    def __init__(
        self,
        objective: Objective,
        x_scale: Tensor,
        bounds: tuple[Tensor, Tensor] | None,
        sought: Sought | None,
        *,
        budget: Budget,
        clock: Clock | None,
    ) -> None:
        super().__init__(x_scale, bounds, sought, budget=budget, clock=clock)
        self.objective = objective
        # Whether two values at one point differed.
        self.is_noisy = False
        # Number of residuals, once known.
        self._m: int | None = None

    def _ask(self, request: Request) -> list[Tensor]:
        """Values of the chunks in order; nan for those that failed.

        Ends the run if the deadline cuts some off.

        If an error or a limit ends the run in between, the values that have come by then are still noted.
        """
        began, parts = self.clock(), dict[int, Tensor | None]()
        try:
            self._collect(request, parts)
        except BaseException:
            for i, values in parts.items():
                if values is not None and request.points:
                    self._note(request.points[i], _noted(request.name, values))
            raise
        finally:
            self.counts.seconds += self.clock() - began
        return self._filled(request, list(parts.values()))

    def _note(self, x: Tensor, values: Tensor) -> None:
        """Remember the lowest value among those at the rows of `x`, and its point."""
        whole = values.detach().cpu().double()
        if whole.ndim == 1:
            funs = whole
        elif self.objective.constraints is None:
            funs = whole.square().mean(1)
        else:
            funs = torch.from_numpy(self.objective.constraints.merit(whole.numpy()))
            self.seen.add_rows(self.project(x), whole.numpy(), self.objective.constraints)
        self.seen.add(self.project(x), funs.numpy())
        if not self.is_noisy and len(x) > 1:
            again = (x[1:] == x[:-1]).all(1)
            self.is_noisy = bool((again & ((funs[1:] - funs[:-1]).abs() > _SAME_VALUE_RTOL * funs[1:].abs())).any())

    def _collect(self, request: Request, parts: dict[int, Tensor | None]) -> None:
        """Put the values of each chunk into `parts` by its number, as they come.

        None where it failed.
        """
        name, chunks = request.name, request.chunks
        limits = Limits(deadline=self.deadline, timeout=self.budget.timeout)
        outcomes = self.objective.evaluate(
            self.prefix + name, chunks, spp=request.spp, limits=limits, adjoint=request.adjoint
        )
        with closing(outcomes):
            for i, chunk in enumerate(chunks):
                outcome = self._next(name, outcomes, chunk)
                if outcome is None:
                    continue
                if outcome.failure is not None:
                    self._count_failure(name, outcome.failure, chunk)
                parts[i] = outcome.values
                self.spend(chunk.rows.shape[0] * request.price)
        if len(parts) < len(chunks):
            raise StopRun(Status.MAXTIME)

    def _next(self, name: str, outcomes: Generator[Outcome | None], chunk: Chunk) -> Outcome | None:
        """Next outcome, checked; an exception says at which points it was raised."""
        try:
            outcome = next(outcomes, None)
            if outcome is not None and outcome.failure is None:
                assert outcome.values is not None
                check_shape(outcome.values, chunk.rows, 1 if name == "fun" else 2)
                if name in ("residuals", "constrained"):
                    self._check_residuals(outcome.values.shape[1])
            return outcome
        except Exception as error:
            if isinstance(error, InvoptError) and not isinstance(error, EvaluationError):
                raise
            raise self._described(name, error, chunk.rows) from error

    def _count_failure(self, name: str, error: Exception, chunk: Chunk) -> None:
        """Count an evaluation that failed, or raise."""
        if not counts_as_failed(error) and name in _DERIVATIVES:
            raise error
        described = self._described(name, error, chunk.rows)
        if not counts_as_failed(error):
            raise described from error
        if self.budget.failures == "raise":
            raise type(described)(f"{described}; with failures='nan' it would count as a failed evaluation") from error
        self.counts.note(str(described), chunk.rows.shape[0])

    def _filled(self, request: Request, parts: Sequence[Tensor | None]) -> list[Tensor]:
        """Values with nan for the chunks that failed."""
        whole = self._whole
        shapes = {
            "fun": (),
            "residuals": (self._m or 1,),
            "constrained": (self._m or 1,),
            "value_and_jac": (whole + 1,),
            "hess": (whole**2,),
            "shading": (1,),
        }
        shape = shapes[request.name]
        known = next((part.dtype for part in parts if part is not None), torch.float64)
        return [
            torch.full((len(chunk.rows), *shape), math.nan, dtype=known) if part is None else part
            for part, chunk in zip(parts, request.chunks, strict=True)
        ]

    def _described(self, name: str, error: Exception, rows: Tensor) -> EvaluationError:
        """An error that says what was raised, after how many evaluations and where."""
        subject = "the derivative of the objective" if name in _DERIVATIVES else "the objective"
        what = str(error) if isinstance(error, EvaluationError) else f"{subject} raised {type(error).__name__}: {error}"
        kind = EvaluationTimeoutError if isinstance(error, EvaluationTimeoutError) else EvaluationError
        return kind(f"{what}; after {self.nfev} evaluations, at x = {brief(rows)}")

    def _check_residuals(self, m: int) -> None:
        self._m = m if self._m is None else self._m
        if m != self._m:
            raise WrongValueError(f"the number of residuals must be the same at every point: {m} after {self._m}")


def _noted(name: str, values: Tensor) -> Tensor:
    """Values or residuals among what a method returned."""
    if name == "shading":
        return residuals_of(values)
    return values[:, 0] if name == "value_and_jac" else values
