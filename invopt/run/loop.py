"""Loop: a run on an open objective, from first estimate to measured answer."""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from attrs import evolve

from invopt.core.estimator import Estimate, Incumbent, Point
from invopt.core.machine.clock import Clock
from invopt.core.objective import Capability, Objective
from invopt.core.result import OptimizeResult, Status
from invopt.core.seeds import SeedSource
from invopt.evaluate.budget import Budget, StopRun
from invopt.evaluate.eliminating.evaluator import EliminatingEvaluator
from invopt.evaluate.evaluator import CountingEvaluator
from invopt.network.evaluators import ChainEvaluator
from invopt.run.descent import Descent
from invopt.run.ending.answer import MOST_EVALUATIONS, find_answer
from invopt.run.ending.ending import Answer, Ending, is_exact_rule, status_of, without_measuring
from invopt.run.ending.infeasible import with_constraints
from invopt.run.ending.measuring import Measuring
from invopt.run.ending.probing import probes_around, unseen
from invopt.run.keeping.keeping import Keeping
from invopt.run.reporting import result_of
from invopt.run.run import Run
from invopt.run.signals import terminated_like_interrupted, undisturbed
from invopt.run.standing import Standing

__all__ = ["Loop", "open_evaluator", "run_loop"]

# Seconds that measuring the answer may take after Ctrl-C or a callback's stop: somebody waits at the keyboard.
_MEASURING_SECONDS = 1.0
# Largest share of `maxfev` that is reserved for the answer, so that a small budget goes to the descent.
_ANSWER_SHARE = 1 / 8


def open_evaluator(run: Run, objective: Objective, clock: Clock) -> CountingEvaluator:
    """Return the evaluator of a run, with its scales, bounds and limits."""
    problem, box, sought = run.problem, run.bounds, run.sought
    if run.shaded is not None:
        return _eliminating(run, objective, clock)
    scale = problem.as_tensor(sought.of(run.x_scale))
    limits = None if box is None else (problem.as_tensor(sought.of(box.lb)), problem.as_tensor(sought.of(box.ub)))
    budget = _budget(run)
    if Capability.CHAIN in problem.provides:
        return ChainEvaluator(objective, problem.provides, scale, limits, budget, chain=problem.chain(), clock=clock)
    evaluator = CountingEvaluator(objective, problem.provides, scale, limits, budget, problem.samples, sought, clock)
    evaluator.periods = torch.from_numpy(sought.of(problem.periods / run.x_scale))
    return evaluator


def _budget(run: Run) -> Budget:
    return Budget(
        maxfev=run.maxfev,
        maxtime=run.maxtime,
        timeout=run.timeout,
        max_nonfinite=run.max_nonfinite,
        failures=run.failures,
    )


def _eliminating(run: Run, objective: Objective, clock: Clock) -> EliminatingEvaluator:
    """Return the evaluator of the parameters that move."""
    problem, box = run.problem, run.bounds
    assert run.shaded is not None
    evaluator = EliminatingEvaluator(
        objective,
        problem.provides,
        torch.from_numpy(run.x_scale),
        None if box is None else (torch.from_numpy(box.lb), torch.from_numpy(box.ub)),
        _budget(run),
        problem.samples,
        sought=run.sought,
        shaded=run.shaded,
        grids=problem.grids,
        names=[name for name, moves in zip(problem.names, run.sought.free, strict=True) if moves],
        clock=clock,
    )
    evaluator.periods = torch.from_numpy(run.sought.of(problem.periods / run.x_scale))
    return evaluator


class Loop:
    """A run on an open objective: its descent, its answer and its result.

    Parameters
    ----------
    run : Run
        Parts and settings.
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
        """Evaluations reserved for the answer.

        At most an eighth of the budget, and never the first estimate's.
        """
        maxfev, cost = self.run.maxfev, self.run.estimator.cost(max(self.standing.evaluator.n, 1))
        return (
            int(max(min(MOST_EVALUATIONS, maxfev * _ANSWER_SHARE, maxfev - cost), 0))
            if maxfev < math.inf
            else MOST_EVALUATIONS
        )

    def run_to_end(self) -> OptimizeResult:
        """Run until a status ends it.

        An error has the result so far as its attribute `result`.
        """
        try:
            with terminated_like_interrupted():
                verdict = Descent(self.standing, self._keeping, self.result).to_end()
                self._keeping.descended()
                # The status stays RUNNING until the answer is measured.
                self.standing.answer = self._measured(verdict)
                if self.standing.answer is not None:
                    self.standing.answer = with_constraints(self.standing.answer, self.standing.evaluator.seen)
                self.standing.status = verdict if self.standing.answer is None else self.standing.answer.status
                if self.run.training and verdict is not Status.INTERRUPTED:
                    self.standing.measurements = self.objective.measurements(self.result().x)
        except BaseException as error:
            # Of the objective, a callback, a method, or SystemExit: the error keeps the result so far.
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

    # The end.

    def _start(self) -> torch.Tensor:
        """Return the start, in units of `x_scale`."""
        x0 = self.run.problem.as_tensor(self.run.sought.of(self.run.x0 / self.run.x_scale))
        return self.standing.evaluator.project(x0)

    def _ending(self, status: Status) -> Ending | None:
        """Return how the run ended; None for networks, whose answer is their last weights."""
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
            lowest=seen.lowest or self._nearest(),
            start_known=seen.awaited is None,
            start_first=seen.awaited is not None and self.run.maxtime < math.inf,
            exact_rule=exact,
            noise_seen=self.standing.evaluator.is_noisy,
            probes=probes_around(last, self.standing.evaluator, rng, exact=exact),
            all_unseen=bool(unseen(last, exact=exact).all()),
            gtol=self.run.tolerances.gtol,
            constrained=self.run.problem.constraints is not None,
            least=0.0 if Capability.RESIDUALS in self.run.problem.provides else -math.inf,
        )

    def _known(self, ending: Ending | None) -> Answer | None:
        """Return the answer from evaluations made so far; None if there are none."""
        lowest, awaited = self.standing.evaluator.seen.lowest, self.standing.evaluator.seen.awaited
        if ending is None or (self.standing.last is None and lowest is None):
            return None
        return without_measuring(evolve(ending, lowest=lowest, start_known=awaited is None))

    def _measured(self, status: Status) -> Answer | None:
        """Return the answer from further evaluations.

        If none are allowed, it comes from earlier ones.
        """
        ending = self._ending(status)
        if ending is None:
            return None
        allowance = self._allowance(ending)
        self.standing.evaluator.keep_nothing()
        self.standing.evaluator.settle()
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
        """Evaluations for the answer.

        After Ctrl-C or a callback's stop only if they take little time.
        """
        nfev, seconds = self.standing.evaluator.nfev, self.standing.evaluator.seconds_each
        left = int(min(MOST_EVALUATIONS, self.run.maxfev - nfev))
        awaited = ending.status in {Status.INTERRUPTED, Status.CALLBACK}
        if not awaited or (nfev > 0 and MOST_EVALUATIONS * seconds <= _MEASURING_SECONDS):
            return left
        return min(left, int(nfev > 0 and not ending.start_known and seconds <= _MEASURING_SECONDS))

    def _nearest(self) -> Incumbent | None:
        """Return the point that violates the constraints least, if none satisfies them."""
        nearest = self.standing.evaluator.seen.nearest
        return None if nearest is None else Incumbent(nearest.x, math.inf)

    def _answered(self) -> Capability:
        """What the objective offers.

        All that its problem provides, or all that the estimator needs.
        """
        provided, needed = self.run.problem.provides, self.run.estimator.needs
        return provided if self.objective.answers_all else provided & needed

    def result(self) -> OptimizeResult:
        """Return the result so far; entries that take copying are computed when read."""
        return result_of(self.standing, self._keeping)


def run_loop(run: Run, objective: Objective) -> OptimizeResult:
    """Run on an open objective, to the end."""
    return Loop(run, objective).run_to_end()
