"""Evaluator that counts evaluations and keeps the limits of a run."""

from __future__ import annotations

import math
import time

from torch import Tensor

from invopt.core.machine.clock import Clock
from invopt.core.result import Status
from invopt.evaluate.budget import UNBOUNDED, Budget, StopRun
from invopt.evaluate.failures import Counts
from invopt.evaluate.scaled import ScaledEvaluator
from invopt.evaluate.seen import Seen
from invopt.evaluate.sought import Sought

__all__ = ["BudgetedEvaluator"]

# Largest share of `maxtime` that is kept for the evaluations of the answer: the search must have most of the time.
_MAX_SHARE_OF_TIME_KEPT = 0.2


class BudgetedEvaluator(ScaledEvaluator):
    """Counts evaluations, and ends the run before a limit of its budget is exceeded.

    Parameters
    ----------
    x_scale, bounds, sought
        As of `ScaledEvaluator`.
    budget : Budget, default Budget()
        Limits.
    clock : Clock, optional
        Clock of the run; by default a new one.
    """

    def __init__(
        self,
        x_scale: Tensor,
        bounds: tuple[Tensor, Tensor] | None = None,
        sought: Sought | None = None,
        *,
        budget: Budget = UNBOUNDED,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(x_scale, bounds, sought)
        self.budget = budget
        self.clock = Clock() if clock is None else clock
        self.counts = Counts()
        self.seen = Seen()
        # Whether one evaluation is kept for the start until it has been evaluated.
        self._keeps_for_start = False

    @property
    def nfev(self) -> int:
        """Evaluations so far."""
        return self.counts.nfev

    @property
    def n_nonfinite(self) -> int:
        """Evaluations so far whose value was not finite."""
        return self.counts.n_nonfinite

    def spend(self, k: int) -> None:
        """Count `k` evaluations."""
        self.counts.nfev += k

    def keep_one_for(self, start: Tensor) -> None:
        """Keep one evaluation for a start until it has been evaluated.

        The start has shape (n,) and is in units of `x_scale`.
        """
        self.seen.await_start(start)
        self._keeps_for_start = True

    def keep_nothing(self) -> None:
        """Release the evaluations that were kept for the answer."""
        self.counts.reserved = 0
        self._keeps_for_start = False

    def settle(self) -> None:
        """Note that the answer is measured from now on."""
        return

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
        """Largest number of evaluations in all that leaves those kept for the answer."""
        return self.budget.maxfev - max(self.counts.reserved, int(self._keeps_one))

    def affordable_at(self, x: Tensor) -> float:
        """`affordable` for evaluations at the rows of `x`.

        If the start is among them, no evaluation is kept for it.
        """
        if not self._keeps_one or not self.seen.awaits(self.project(x)):
            return self.affordable
        return self.budget.maxfev - self.counts.reserved

    @property
    def _keeps_one(self) -> bool:
        return self._keeps_for_start and self.seen.awaited is not None

    @property
    def seconds_each(self) -> float:
        """Mean seconds of an evaluation so far.

        With workers, seconds of the run, not of a worker.
        """
        return self.counts.seconds / max(self.nfev, 1)

    @property
    def deadline(self) -> float:
        """Latest time at which an evaluation may begin.

        Later ones would leave no time for the answer. It is on the clock of `time.perf_counter`.
        """
        kept = min(self.counts.reserved * self.seconds_each, _MAX_SHARE_OF_TIME_KEPT * self.budget.maxtime)
        if self._keeps_one:
            # A whole evaluation for the start, if it takes at most half of the time.
            kept = max(kept, min(self.seconds_each, self.budget.maxtime / 2))
        return self.clock.deadline(self.budget.maxtime - (kept if math.isfinite(kept) else 0.0))
