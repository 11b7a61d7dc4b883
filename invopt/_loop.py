"""The one loop that every combination of parts runs through."""

from __future__ import annotations

import copy
import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from attrs import define, evolve, field

from invopt._answer import MOST, find_answer
from invopt._chain import ChainEvaluator
from invopt._clock import Clock
from invopt._ending import Answer, Ending, is_exact_rule, status_of, without_measuring
from invopt._estimator import Estimate
from invopt._evaluate import Budget, Evaluator, StopRun
from invopt._keeping import Keeping
from invopt._measuring import Measuring
from invopt._optimizer import Oracle
from invopt._probing import probes_around, unseen
from invopt._problem import Capability, Objective
from invopt._reporting import record, result_of
from invopt._result import History, OptimizeResult, Status
from invopt._seeds import SeedSource
from invopt._signals import terminated_like_interrupted, undisturbed
from invopt._stopping import PlateauWatch, Point, surely
from invopt._threads import own_threads
from invopt.exceptions import NonFiniteError
from invopt.report.progress import ProgressBar

if TYPE_CHECKING:
    from invopt._prepare import Run

__all__ = ["Loop", "open_evaluator"]

# Seconds that measuring the answer may take after Ctrl-C.
_PATIENCE = 1.0
# Share by which a run must have come down since its estimator began anew, to begin anew once more.
_PROGRESS = 1e-3


def open_evaluator(run: Run, objective: Objective, clock: Clock) -> Evaluator:
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
    return Evaluator(objective, problem.provides, scale, limits, budget, problem.samples, sought, clock)


@define(kw_only=True, eq=False)
class Loop:
    """State of a run: the evaluator, where it stands, what it has seen."""

    run: Run
    objective: Objective
    history: History = field(factory=History)
    highest: Point | None = None
    last: Point | None = None
    best: Point | None = None
    status: Status = Status.RUNNING
    answer: Answer | None = None
    clock: Clock = field(factory=Clock)
    evaluator: Evaluator = field(init=False)
    keeping: Keeping = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.keeping = Keeping(self.run, self.clock)
        self.evaluator = open_evaluator(self.run, self.keeping.kept(self.objective), self.clock)
        if not self.run.training:
            self.evaluator.counts.reserved = self._reserved()
            self.evaluator.keep_one_for(self._start())

    def _reserved(self) -> int:
        """Evaluations kept for the answer: an eighth of the budget at most, and never the first estimate's."""
        maxfev, cost = self.run.maxfev, self.run.estimator.cost(max(self.evaluator.n, 1))
        return int(max(min(MOST, maxfev // 8, maxfev - cost), 0)) if maxfev < math.inf else MOST

    def run_to_end(self) -> OptimizeResult:
        """Run until a status says stop; an error carries the result so far as its attribute `result`."""
        try:
            with terminated_like_interrupted():
                verdict = self._descend()
                self.keeping.descended()
                # Until it is measured the run has not ended, whatever the verdict.
                self.answer = self._measured(verdict)
                self.status = verdict if self.answer is None else self.answer.status
        except BaseException as error:
            # Of the objective, a callback, a method, or SystemExit: whatever ends a run, what it found is not lost.
            self.status = status_of(error)
            ending = self._ending(self.status)
            self.answer = self._known(ending)
            error.result = self.result().resolve()  # type: ignore[attr-defined]
            raise
        finally:
            with undisturbed():
                self.keeping.close(self)
        result = self.result().resolve()
        self.keeping.warn(result)
        return result

    def _descend(self) -> Status:
        """The loop, to whatever ends it but an error."""
        if self.run.sought.n == 0:
            x = self.run.problem.as_tensor(np.empty(0))
            self.last = Point(x, Estimate(x=x, fun=math.nan, nfev=0, note="all parameters are held by their bounds"))
            return Status.CONVERGED
        try:
            with ProgressBar(self.run) as bar:
                return self._iterate(bar)
        except StopRun as stop:
            return stop.status
        except KeyboardInterrupt:
            return Status.INTERRUPTED

    def _iterate(self, bar: ProgressBar) -> Status:
        """The one loop."""
        estimator, method, rng = self.run.estimator, self.run.method, self.run.rng
        x = self.run.problem.as_tensor(self.run.sought.of(self.run.x0 / self.run.x_scale))
        memory, state = estimator.init(self.run.problem), method.init(x)
        plateau, renewed = PlateauWatch(), math.inf
        step, verdict = math.nan, Status.RUNNING
        estimate: Estimate | None = None
        if (found := self.keeping.resumed(self, memory, state, plateau)) is not None:
            x, memory, state, step, estimate = found
        try:
            while True:
                present, numbers = memory, rng.bit_generator.state
                if estimate is None:
                    estimate, memory = estimator.estimate(self.evaluator, x, present, rng)
                status = self._visit(Point(x, estimate), step, plateau, verdict)
                bar.update(estimate, self.evaluator.nfev, len(self.history))
                if status is Status.NOISE_FLOOR and (left := self._without_noise(x)) < (1 - _PROGRESS) * renewed:
                    # The estimator took for noise what is none: it begins anew, from where the run stands.
                    renewed, memory, estimate = left, estimator.init(self.run.problem), None
                    continue
                if status is not Status.RUNNING:
                    return status
                # Estimates can be free, and evaluations alone look at the clock.
                self.evaluator.check_time()
                repeat = partial(self._repeat, present, numbers)
                oracle = Oracle(self.evaluator, partial(self._estimate, present), rng, repeat, estimator.seeds)
                proposed, state = method.step(x, estimate, state, oracle)
                proposed = self.evaluator.project(proposed)
                verdict = _judged(method.status(state), estimate)
                step = _length(x, proposed)
                if verdict is not Status.RUNNING and step == 0.0:
                    return verdict
                x, estimate = proposed, oracle.known(proposed)
                self.keeping.note(self, x, memory, state, step, plateau, estimate)
        finally:
            method.close(state)

    def _without_noise(self, x: torch.Tensor) -> float:
        """Value at `x` if no noise was seen so far, nor is there; else inf."""
        if self.run.training or self.evaluator.is_noisy:
            return math.inf
        seeds = SeedSource(self.run.estimator.seeds, self.run.rng).repeat(2)
        first, _ = self.evaluator.fun(torch.stack([x, x]), seed=seeds).tolist()
        return math.inf if self.evaluator.is_noisy else float(first)

    def _estimate(self, memory: Any, x: torch.Tensor) -> Estimate:
        return self.run.estimator.estimate(self.evaluator, x, memory, self.run.rng)[0]

    def _repeat(self, memory: Any, numbers: Any, x: torch.Tensor) -> Estimate:
        """Estimate from random numbers that have been used before."""
        again = np.random.Generator(type(self.run.rng.bit_generator)())
        again.bit_generator.state = numbers
        return self.run.estimator.estimate(self.evaluator, x, memory, again)[0]

    def _visit(self, point: Point, step: float, plateau: PlateauWatch, verdict: Status) -> Status:
        """Record a point and say whether the run ends there."""
        previous, self.last = self.last, point
        if self.highest is None or surely(point.estimate) > surely(self.highest.estimate):
            self.highest = point
        if self.best is None or not point.estimate.fun >= self.best.estimate.fun:
            self.best = point
        record(self, point, step)
        if self.run.callback is not None:
            with own_threads():
                ends = self.run.callback.ends(self.result())
            if ends:
                return Status.CALLBACK
        if verdict is not Status.RUNNING:
            return verdict
        for status in (
            point.estimate.status,
            self.run.tolerances.status(self.highest, previous, point, step, self.evaluator),
            plateau.status(point.estimate),
        ):
            if status is not Status.RUNNING:
                return status
        return Status.MAXITER if len(self.history) > self.run.maxiter else Status.RUNNING

    # The end.

    def _start(self) -> torch.Tensor:
        """Where the run begins, in units of `x_scale`."""
        x0 = self.run.problem.as_tensor(self.run.sought.of(self.run.x0 / self.run.x_scale))
        return self.evaluator.project(x0)

    def _ending(self, status: Status) -> Ending | None:
        """How the run ended; None for networks, whose answer is their last weights."""
        if self.run.training:
            return None
        start, seen = self._start(), self.evaluator.seen
        last = Point(start, Estimate(x=start, fun=math.nan, nfev=0)) if self.last is None else self.last
        rng = np.random.Generator(copy.deepcopy(self.run.rng.bit_generator))
        exact = is_exact_rule(status, last.estimate, self.run.method.noise_aware)
        return Ending(
            status=status,
            last=last,
            best=self.best if self.run.estimator.comparable else None,
            start=start,
            lowest=seen.lowest,
            start_known=seen.awaited is None,
            start_first=seen.awaited is not None and self.run.maxtime < math.inf,
            exact_rule=exact,
            noise_seen=self.evaluator.is_noisy,
            probes=probes_around(last, self.evaluator, rng, exact=exact),
            all_unseen=bool(unseen(last, exact=exact).all()),
            gtol=self.run.tolerances.gtol,
            least=0.0 if Capability.RESIDUALS in self.run.problem.provides else -math.inf,
        )

    def _known(self, ending: Ending | None) -> Answer | None:
        """The answer from what is evaluated by now; None before there is anything."""
        lowest, awaited = self.evaluator.seen.lowest, self.evaluator.seen.awaited
        if ending is None or (self.last is None and lowest is None):
            return None
        return without_measuring(evolve(ending, lowest=lowest, start_known=awaited is None))

    def _measured(self, status: Status) -> Answer | None:
        """The answer, from what is evaluated for it; where nothing more may be, from what there is."""
        ending = self._ending(status)
        if ending is None:
            return None
        allowance = self._allowance(ending)
        self.evaluator.keep_nothing()
        rng = np.random.Generator(copy.deepcopy(self.run.rng.bit_generator))
        measuring = Measuring(
            self.evaluator,
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
        nfev, seconds = self.evaluator.nfev, self.evaluator.seconds_each
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
        return result_of(self)


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
