"""Descent: the one loop that every combination of parts runs through.

It runs until something ends it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from invopt.core.estimator import Estimate, Point
from invopt.core.machine.threads import own_threads
from invopt.core.objective import Capability
from invopt.core.optimizer import Oracle
from invopt.core.result import OptimizeResult, Status
from invopt.evaluate.budget import StopRun
from invopt.exceptions import NonFiniteError
from invopt.run.iteration import Iteration
from invopt.run.keeping.keeping import Keeping
from invopt.run.move import End, Move
from invopt.run.progress import Update, Watched, progress_of
from invopt.run.refinement import Refinement
from invopt.run.reporting import record
from invopt.run.standing import Standing
from invopt.run.stopping import StallWatch, lower_bound

__all__ = ["Descent"]


class Descent:
    """The iterations of one run.

    Parameters
    ----------
    standing : Standing
        State of the run, which this writes.
    keeping : Keeping
        Its journal or checkpoint.
    result : callable
        ``result()``: the result so far, for the callback.
    """

    def __init__(self, standing: Standing, keeping: Keeping, result: Callable[[], OptimizeResult]) -> None:
        self._standing = standing
        self._keeping = keeping
        self._result = result
        self._run = standing.run
        self._evaluator = standing.evaluator
        estimator, method = self._run.estimator, self._run.method
        residuals = Capability.RESIDUALS in estimator.needs and estimator.comparable and not self._run.training
        problem = self._run.problem
        errors = problem.prior is not None or problem.noise_std is not None
        self._refinement = Refinement(
            standing.evaluator, estimator.seeds, self._run.rng, residuals=residuals, errors=errors
        )
        # A method with a rule of its own knows better when its descent has ended.
        self._watched = not method.noise_aware

    def to_end(self) -> Status:
        """Iterate until something other than an error ends the run; returns what."""
        if self._run.sought.n == 0:
            x = self._run.problem.as_tensor(np.empty(0))
            note = "all parameters are fixed by their bounds"
            self._standing.last = Point(x, Estimate(x=x, fun=math.nan, nfev=0, note=note))
            return Status.CONVERGED
        try:
            watched = Watched(self._run, self._evaluator.objective, self._standing.history)
            with progress_of(watched) as update:
                return self._iterate(update)
        except StopRun as stop:
            return stop.status
        except KeyboardInterrupt:
            return Status.INTERRUPTED

    def _iterate(self, update: Update) -> Status:
        """The one loop: estimate, record, decide, step."""
        run, rng = self._run, self._run.rng
        x = run.problem.as_tensor(run.sought.of(run.x0 / run.x_scale))
        now = Iteration(x=x, memory=run.estimator.init(run.problem), state=run.method.init(x))
        self._keeping.resume(self._standing, now)
        try:
            while True:
                memory, numbers = now.memory, rng.bit_generator.state
                if now.estimate is None:
                    now.estimate, now.memory = run.estimator.estimate(self._evaluator, now.x, memory, rng)
                now.estimate = self._refinement.answered(now.estimate)
                status = self._visit(Point(now.x, now.estimate), now)
                update(now.estimate, self._evaluator.nfev, len(self._standing.history))
                stalls = self._watched and self._refinement.watches
                stalls = stalls and now.stall.stalls(now.estimate, exact=self._refinement.exact)
                if status is not Status.RUNNING or stalls:
                    found = self._refined(status, now)
                    if isinstance(found, End):
                        return found.status
                    if isinstance(found, Move):
                        continue
                # An estimate may cost no evaluation, and only evaluations look at the clock.
                self._evaluator.check_time()
                self._step(now, now.estimate, memory, numbers)
                if now.verdict is not Status.RUNNING and now.step == 0.0:
                    found = self._refined(now.verdict, now)
                    if isinstance(found, End):
                        return found.status
                self._keeping.note(self._standing, now)
        finally:
            run.method.close(now.state)

    def _refined(self, status: Status, now: Iteration) -> Move | End | None:
        """What follows the end of a descent; a move is made."""
        last = self._standing.last
        assert last is not None
        first = float(self._standing.history["sigma"][0])
        unit = min(first if first > 0 else self._run.problem.sigma, self._evaluator.sigma_limit)
        found = self._refinement.after(status, last.estimate, unit)
        if isinstance(found, Move):
            now.x, now.estimate, now.verdict, now.step = found.x, None, Status.RUNNING, _length(now.x, found.x)
            self._run.method.close(now.state)
            now.state, now.stall = self._run.method.init(found.x), StallWatch()
        return found

    def _step(self, now: Iteration, estimate: Estimate, memory: Any, numbers: Any) -> None:
        """Let the method make its step.

        `memory` and `numbers` are those that the estimate was made with.
        """
        repeat = partial(self._repeat, memory, numbers)
        seeds = self._run.estimator.seeds
        xtol = self._run.tolerances.xtol
        estimator = partial(self._estimate, memory)
        oracle = Oracle(self._evaluator, estimator, self._run.rng, repeat, seeds, xtol, self._spent())
        proposed, now.state = self._run.method.step(now.x, estimate, now.state, oracle)
        proposed = self._evaluator.project(proposed)
        now.verdict = _judged(self._run.method.status(now.state), estimate)
        self._standing.chosen = self._run.method.choice(now.state)
        now.step = _length(now.x, proposed)
        now.x, now.estimate = proposed, oracle.known(proposed)

    def _spent(self) -> float:
        """Share of the budget that is spent: of iterations, evaluations or seconds."""
        run, standing = self._run, self._standing
        iterations = (len(standing.history) - 1) / run.maxiter
        return min(1.0, max(iterations, standing.evaluator.nfev / run.maxfev, standing.clock() / run.maxtime))

    def _estimate(self, memory: Any, x: Tensor) -> Estimate:
        return self._run.estimator.estimate(self._evaluator, x, memory, self._run.rng)[0]

    def _repeat(self, memory: Any, numbers: Any, x: Tensor) -> Estimate:
        """Estimate with random numbers that have been used before."""
        again = np.random.Generator(type(self._run.rng.bit_generator)())
        again.bit_generator.state = numbers
        return self._run.estimator.estimate(self._evaluator, x, memory, again)[0]

    def _visit(self, point: Point, now: Iteration) -> Status:
        """Record a point and say whether the run ends there."""
        standing = self._standing
        previous, standing.last = standing.last, point
        if standing.highest is None or lower_bound(point.estimate) > lower_bound(standing.highest.estimate):
            standing.highest = point
        if standing.best is None or not point.estimate.fun >= standing.best.estimate.fun:
            standing.best = point
        record(standing, point, now.step)
        if self._run.callback is not None:
            with own_threads():
                ends = self._run.callback.ends(self._result())
            if ends:
                return Status.CALLBACK
        if now.verdict is not Status.RUNNING:
            return now.verdict
        for status in (
            point.estimate.status,
            self._tolerated(standing.highest, previous, point, now.step),
            now.plateau.status(point.estimate),
        ):
            if status is not Status.RUNNING:
                return status
        return Status.MAXITER if len(standing.history) > self._run.maxiter else Status.RUNNING

    def _tolerated(self, highest: Point, previous: Point | None, point: Point, step: float) -> Status:
        """Status by the tolerances.

        Only that of the gradient for methods that judge their steps.
        """
        own = self._run.method.judges_steps
        return self._run.tolerances.status(highest, None if own else previous, point, step, self._evaluator)


def _length(x: Tensor, proposed: Tensor) -> float:
    """Length of a step, which must be to a point that is finite."""
    step = float(torch.linalg.vector_norm(proposed - x))
    # A finite length says it of all components; an infinite one may be a square too large for its type.
    if not math.isfinite(step) and not bool(torch.isfinite(proposed).all()):
        raise NonFiniteError("the method stepped to a point that is not finite; lower its step or raise n_samples")
    return step


def _judged(verdict: Status, estimate: Estimate) -> Status:
    """Return a method's verdict, with UNSURE for a success on sampled estimates.

    The rule behind such a success takes estimates for exact.
    """
    return Status.UNSURE if verdict is Status.FINISHED and estimate.sigma > 0 else verdict
