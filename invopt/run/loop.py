"""The one loop that every combination of parts runs through."""

from __future__ import annotations

import copy
import math
from functools import partial
from typing import Any

import numpy as np
import torch
from attrs import evolve

from invopt.core.estimator import Estimate, Point
from invopt.core.machine.clock import Clock
from invopt.core.machine.threads import own_threads
from invopt.core.objective import Capability, Objective
from invopt.core.optimizer import Oracle
from invopt.core.result import OptimizeResult, Status
from invopt.core.seeds import SeedSource
from invopt.evaluate.budget import Budget, StopRun
from invopt.evaluate.evaluator import CountingEvaluator
from invopt.exceptions import NonFiniteError
from invopt.network.evaluators import ChainEvaluator
from invopt.run.ending.answer import MOST, find_answer
from invopt.run.ending.ending import Answer, Ending, is_exact_rule, status_of, without_measuring
from invopt.run.ending.measuring import Measuring
from invopt.run.ending.probing import probes_around, unseen
from invopt.run.keeping.keeping import Keeping
from invopt.run.progress import Update, progress_of
from invopt.run.reporting import record, result_of
from invopt.run.run import Run
from invopt.run.signals import terminated_like_interrupted, undisturbed
from invopt.run.standing import Standing
from invopt.run.stopping import PlateauWatch, surely

__all__ = ["Loop", "open_evaluator", "run_loop"]

# Seconds that measuring the answer may take after Ctrl-C.
_PATIENCE = 1.0
# Share by which a run must have come down since its estimator began anew, to begin anew once more.
_PROGRESS = 1e-3


def open_evaluator(run: Run, objective: Objective, clock: Clock) -> CountingEvaluator:
    """Evaluator of a run: scaled, bounded, limited as the run says."""
    problem, box, sought = run.problem, run.bounds, run.sought
    scale = problem.as_tensor(sought.of(run.x_scale))
    limits = None if box is None else (problem.as_tensor(sought.of(box.lb)), problem.as_tensor(sought.of(box.ub)))
    budget = Budget(
        maxfev=run.maxfev,
        maxtime=run.maxtime,
        timeout=run.timeout,
        max_nonfinite=run.max_nonfinite,
        failures=run.failures,
    )
    if Capability.CHAIN in problem.provides:
        return ChainEvaluator(objective, problem.provides, scale, limits, budget, chain=problem.chain(), clock=clock)
    return CountingEvaluator(objective, problem.provides, scale, limits, budget, problem.samples, sought, clock)


class Loop:
    """The loop of one run.

    Parameters
    ----------
    run : Run
        What is run.
    objective : Objective
        Its open objective.
    """

    def __init__(self, run: Run, objective: Objective) -> None:
        self.run = run
        self.objective = objective
        clock = Clock()
        self._keeping = Keeping(run, clock)
        evaluator = open_evaluator(run, self._keeping.kept(objective), clock)
        self.standing = Standing(run=run, clock=clock, evaluator=evaluator)
        if not run.training:
            evaluator.counts.reserved = self._reserved()
            evaluator.keep_one_for(self._start())

    def _reserved(self) -> int:
        """Evaluations kept for the answer: an eighth of the budget at most, and never the first estimate's."""
        maxfev, cost = self.run.maxfev, self.run.estimator.cost(max(self.standing.evaluator.n, 1))
        return int(max(min(MOST, maxfev // 8, maxfev - cost), 0)) if maxfev < math.inf else MOST

    def run_to_end(self) -> OptimizeResult:
        """Run until a status says stop; an error carries the result so far as its attribute `result`."""
        try:
            with terminated_like_interrupted():
                verdict = self._descend()
                self._keeping.descended()
                # Until it is measured the run has not ended, whatever the verdict.
                self.standing.answer = self._measured(verdict)
                self.standing.status = verdict if self.standing.answer is None else self.standing.answer.status
        except BaseException as error:
            # Of the objective, a callback, a method, or SystemExit: whatever ends a run, what it found is not lost.
            self.standing.status = status_of(error)
            ending = self._ending(self.standing.status)
            self.standing.answer = self._known(ending)
            error.result = self.result().resolve()  # type: ignore[attr-defined]
            raise
        finally:
            with undisturbed():
                self._keeping.close(self.standing, self.result())
        result = self.result().resolve()
        self._keeping.warn(result)
        return result

    def _descend(self) -> Status:
        """The loop, to whatever ends it but an error."""
        if self.run.sought.n == 0:
            x = self.run.problem.as_tensor(np.empty(0))
            self.standing.last = Point(
                x, Estimate(x=x, fun=math.nan, nfev=0, note="all parameters are held by their bounds")
            )
            return Status.CONVERGED
        try:
            with progress_of(self.run) as update:
                return self._iterate(update)
        except StopRun as stop:
            return stop.status
        except KeyboardInterrupt:
            return Status.INTERRUPTED

    def _iterate(self, update: Update) -> Status:
        """The one loop."""
        estimator, method, rng = self.run.estimator, self.run.method, self.run.rng
        x = self.run.problem.as_tensor(self.run.sought.of(self.run.x0 / self.run.x_scale))
        memory, state = estimator.init(self.run.problem), method.init(x)
        plateau, renewed = PlateauWatch(), math.inf
        step, verdict = math.nan, Status.RUNNING
        estimate: Estimate | None = None
        if (found := self._keeping.resumed(self.standing, memory, state, plateau)) is not None:
            x, memory, state, step, estimate = found
        try:
            while True:
                present, numbers = memory, rng.bit_generator.state
                if estimate is None:
                    estimate, memory = estimator.estimate(self.standing.evaluator, x, present, rng)
                status = self._visit(Point(x, estimate), step, plateau, verdict)
                update(estimate, self.standing.evaluator.nfev, len(self.standing.history))
                if status is Status.NOISE_FLOOR and (left := self._without_noise(x)) < (1 - _PROGRESS) * renewed:
                    # The estimator took for noise what is none: it begins anew, from where the run stands.
                    renewed, memory, estimate = left, estimator.init(self.run.problem), None
                    continue
                if status is not Status.RUNNING:
                    return status
                # Estimates can be free, and evaluations alone look at the clock.
                self.standing.evaluator.check_time()
                repeat = partial(self._repeat, present, numbers)
                oracle = Oracle(self.standing.evaluator, partial(self._estimate, present), rng, repeat, estimator.seeds)
                proposed, state = method.step(x, estimate, state, oracle)
                proposed = self.standing.evaluator.project(proposed)
                verdict = _judged(method.status(state), estimate)
                step = _length(x, proposed)
                if verdict is not Status.RUNNING and step == 0.0:
                    return verdict
                x, estimate = proposed, oracle.known(proposed)
                self._keeping.note(self.standing, x, memory, state, step, plateau, estimate)
        finally:
            method.close(state)

    def _without_noise(self, x: torch.Tensor) -> float:
        """Value at `x` if no noise was seen so far, nor is there; else inf."""
        if self.run.training or self.standing.evaluator.is_noisy:
            return math.inf
        seeds = SeedSource(self.run.estimator.seeds, self.run.rng).repeat(2)
        first, _ = self.standing.evaluator.fun(torch.stack([x, x]), seed=seeds).tolist()
        return math.inf if self.standing.evaluator.is_noisy else float(first)

    def _estimate(self, memory: Any, x: torch.Tensor) -> Estimate:
        return self.run.estimator.estimate(self.standing.evaluator, x, memory, self.run.rng)[0]

    def _repeat(self, memory: Any, numbers: Any, x: torch.Tensor) -> Estimate:
        """Estimate from random numbers that have been used before."""
        again = np.random.Generator(type(self.run.rng.bit_generator)())
        again.bit_generator.state = numbers
        return self.run.estimator.estimate(self.standing.evaluator, x, memory, again)[0]

    def _visit(self, point: Point, step: float, plateau: PlateauWatch, verdict: Status) -> Status:
        """Record a point and say whether the run ends there."""
        previous, self.standing.last = self.standing.last, point
        if self.standing.highest is None or surely(point.estimate) > surely(self.standing.highest.estimate):
            self.standing.highest = point
        if self.standing.best is None or not point.estimate.fun >= self.standing.best.estimate.fun:
            self.standing.best = point
        record(self.standing, point, step)
        if self.run.callback is not None:
            with own_threads():
                ends = self.run.callback.ends(self.result())
            if ends:
                return Status.CALLBACK
        if verdict is not Status.RUNNING:
            return verdict
        for status in (
            point.estimate.status,
            self.run.tolerances.status(self.standing.highest, previous, point, step, self.standing.evaluator),
            plateau.status(point.estimate),
        ):
            if status is not Status.RUNNING:
                return status
        return Status.MAXITER if len(self.standing.history) > self.run.maxiter else Status.RUNNING

    # The end.

    def _start(self) -> torch.Tensor:
        """Where the run begins, in units of `x_scale`."""
        x0 = self.run.problem.as_tensor(self.run.sought.of(self.run.x0 / self.run.x_scale))
        return self.standing.evaluator.project(x0)

    def _ending(self, status: Status) -> Ending | None:
        """How the run ended; None for networks, whose answer is their last weights."""
        if self.run.training:
            return None
        start, seen, last = self._start(), self.standing.evaluator.seen, self.standing.last
        if last is None:
            last = Point(start, Estimate(x=start, fun=math.nan, nfev=0))
        rng = np.random.Generator(copy.deepcopy(self.run.rng.bit_generator))
        exact = is_exact_rule(status, last.estimate, self.run.method.noise_aware)
        return Ending(
            status=status,
            last=last,
            best=self.standing.best if self.run.estimator.comparable else None,
            start=start,
            lowest=seen.lowest,
            start_known=seen.awaited is None,
            start_first=seen.awaited is not None and self.run.maxtime < math.inf,
            exact_rule=exact,
            noise_seen=self.standing.evaluator.is_noisy,
            probes=probes_around(last, self.standing.evaluator, rng, exact=exact),
            all_unseen=bool(unseen(last, exact=exact).all()),
            gtol=self.run.tolerances.gtol,
            least=0.0 if Capability.RESIDUALS in self.run.problem.provides else -math.inf,
        )

    def _known(self, ending: Ending | None) -> Answer | None:
        """The answer from what is evaluated by now; None before there is anything."""
        lowest, awaited = self.standing.evaluator.seen.lowest, self.standing.evaluator.seen.awaited
        if ending is None or (self.standing.last is None and lowest is None):
            return None
        return without_measuring(evolve(ending, lowest=lowest, start_known=awaited is None))

    def _measured(self, status: Status) -> Answer | None:
        """The answer, from what is evaluated for it; where nothing more may be, from what there is."""
        ending = self._ending(status)
        if ending is None:
            return None
        allowance = self._allowance(ending)
        self.standing.evaluator.keep_nothing()
        rng = np.random.Generator(copy.deepcopy(self.run.rng.bit_generator))
        measuring = Measuring(
            self.standing.evaluator,
            SeedSource(self.run.estimator.seeds, rng),
            residuals=Capability.RESIDUALS in self._answered(),
            allowance=allowance,
        )
        try:
            return find_answer(ending, measuring) if allowance > 0 else self._known(ending)
        except (StopRun, KeyboardInterrupt):
            return self._known(ending)

    def _allowance(self, ending: Ending) -> int:
        """Evaluations that measuring the answer may take; none if that takes long, and nobody waits for it."""
        nfev, seconds = self.standing.evaluator.nfev, self.standing.evaluator.seconds_each
        left = int(min(MOST, self.run.maxfev - nfev))
        if ending.status not in {Status.INTERRUPTED, Status.CALLBACK} or (nfev > 0 and MOST * seconds <= _PATIENCE):
            return left
        return min(left, int(nfev > 0 and not ending.start_known and seconds <= _PATIENCE))

    def _answered(self) -> Capability:
        """What the objective answers: all that its problem provides, or all that the estimator asks."""
        provided, needed = self.run.problem.provides, self.run.estimator.needs
        return provided if self.objective.answers_all else provided & needed

    def result(self) -> OptimizeResult:
        """Everything known now; what takes copying is worked out when asked for."""
        return result_of(self.standing, self._keeping)


def _length(x: torch.Tensor, proposed: torch.Tensor) -> float:
    """Length of a step, which must be to a point that is finite."""
    step = float(torch.linalg.vector_norm(proposed - x))
    # A length that is finite says it of all components; one that is not may be a square too large for its type.
    if not math.isfinite(step) and not bool(torch.isfinite(proposed).all()):
        raise NonFiniteError("the method stepped to a point that is not finite; lower its step or raise n_samples")
    return step


def _judged(verdict: Status, estimate: Estimate) -> Status:
    """A method's own verdict; of a rule that takes estimates for exact, no success where they are sampled."""
    return Status.UNSURE if verdict is Status.FINISHED and estimate.sigma > 0 else verdict


def run_loop(run: Run, objective: Objective) -> OptimizeResult:
    """Run on an open objective, to the end."""
    return Loop(run, objective).run_to_end()
