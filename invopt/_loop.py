"""The one loop that every combination of parts runs through."""

from __future__ import annotations

import math
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import torch
from attrs import define, field
from numpy.typing import NDArray

from invopt._chain import ChainEvaluator
from invopt._checkpoint import Snapshot, reduced, restored
from invopt._estimator import Estimate
from invopt._evaluate import Budget, Evaluator, StopRun
from invopt._optimizer import Oracle
from invopt._problem import Capability, Objective
from invopt._result import Deferred, History, OptimizeResult, Status
from invopt._stopping import PlateauWatch, Point, surely
from invopt.exceptions import InvoptError, NonFiniteError
from invopt.report.progress import ProgressBar

if TYPE_CHECKING:
    from invopt._prepare import Run

__all__ = ["Loop", "as_array", "open_evaluator"]


def open_evaluator(run: Run, objective: Objective, began: float = 0.0) -> Evaluator:
    """Evaluator of a run: scaled, bounded, limited as the run says."""
    problem, box = run.problem, run.bounds
    scale = problem.as_tensor(run.x_scale)
    limits = None if box is None else (problem.as_tensor(box.lb), problem.as_tensor(box.ub))
    budget = Budget(maxfev=run.maxfev, deadline=began + run.maxtime, max_nonfinite=run.max_nonfinite)
    if Capability.CHAIN in problem.provides:
        return ChainEvaluator(objective, problem.provides, scale, limits, budget, chain=problem.chain())
    return Evaluator(objective, problem.provides, scale, limits, budget, problem.samples)


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
    snapshot: Snapshot | None = None
    began: float = field(factory=time.perf_counter)
    evaluator: Evaluator = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.evaluator = open_evaluator(self.run, self.objective, self.began)

    def run_to_end(self) -> OptimizeResult:
        """Run until a status says stop; an error carries the result so far as its attribute `result`."""
        try:
            with ProgressBar(self.run) as bar:
                self.status = self._iterate(bar)
        except StopRun as stop:
            self.status = stop.status
        except KeyboardInterrupt:
            self.status = Status.INTERRUPTED
        except InvoptError as error:
            self.status = Status.NONFINITE if isinstance(error, NonFiniteError) else Status.ERROR
            error.result = self.result().resolve()
            raise
        except Exception as error:
            # A callback's, or a method's own: whatever ends an expensive run, what it found is not lost.
            error.result = self.result().resolve()  # type: ignore[attr-defined]
            raise
        finally:
            self._keep()
        return self.result().resolve()

    def _iterate(self, bar: ProgressBar) -> Status:
        """The one loop."""
        estimator, method, rng = self.run.estimator, self.run.method, self.run.rng
        x = self.run.problem.as_tensor(self.run.x0 / self.run.x_scale)
        memory, state = estimator.init(self.run.problem), method.init(x)
        plateau = PlateauWatch()
        step, verdict = math.nan, Status.RUNNING
        estimate: Estimate | None = None
        if (found := self._resumed(x, memory, state)) is not None:
            x, memory, state, step = found.x, found.memory, found.state, found.record["step"]
            plateau.flat, plateau.spent = found.record["flat"], found.record["spent"]
            estimate = None if found.record["estimate"] is None else restored(found.record["estimate"]).estimate
        try:
            while True:
                present, numbers = memory, rng.bit_generator.state
                if estimate is None:
                    estimate, memory = estimator.estimate(self.evaluator, x, present, rng)
                status = self._visit(Point(x, estimate), step, plateau, verdict)
                bar.update(estimate, self.evaluator.nfev, len(self.history))
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
                self._remember(x, memory, state, step, plateau, estimate)
        finally:
            method.close(state)

    # Keeping a run.

    def _identity(self) -> dict[str, str]:
        run = self.run
        return {**run.problem.fingerprints, "estimator": repr(run.estimator), "method": repr(run.method)}

    def _resumed(self, x: torch.Tensor, memory: Any, state: Any) -> Snapshot | None:
        """The state to go on from, if there is one; everything else of the run is set to it."""
        if self.run.checkpoint is None:
            return None
        self.run.checkpoint.check(memory, state)
        found = self.run.checkpoint.load(self._identity(), x.device)
        if found is not None:
            record = found.record
            self.run.rng.bit_generator.state = found.rng
            self.history = History.from_columns(record["history"])
            self.evaluator.counts.nfev, self.evaluator.counts.n_nonfinite = record["nfev"], record["n_nonfinite"]
            self.highest, self.last, self.best = (restored(record[name]) for name in ("highest", "last", "best"))
            self.began -= record["seconds"]
        return found

    def _remember(
        self, x: torch.Tensor, memory: Any, state: Any, step: float, plateau: PlateauWatch, estimate: Estimate | None
    ) -> None:
        """Note where the run stands between two iterations, and write it down when it is time."""
        if self.run.checkpoint is None or (estimate is not None and (estimate.hessian or estimate.product)):
            # What a line search estimated last may have curvature to be asked for, which no file can hold.
            return
        points = {"highest": self.highest, "last": self.last, "best": self.best}
        record = {
            "estimate": None if estimate is None else reduced(Point(x, estimate), whole=True),
            "step": step,
            "flat": plateau.flat,
            "spent": plateau.spent,
            "nfev": self.evaluator.nfev,
            "n_nonfinite": self.evaluator.n_nonfinite,
            "rows": len(self.history),
            "seconds": time.perf_counter() - self.began,
            **points,
        }
        rng = self.run.rng.bit_generator.state
        self.snapshot = Snapshot(x=x, memory=memory, state=state, rng=dict(rng), record=record)
        if len(self.history) % self.run.checkpoint.every == 0:
            self._keep()

    def _keep(self) -> None:
        """Write the last snapshot, if it is not yet written."""
        if self.run.checkpoint is None or self.snapshot is None:
            return
        record = dict(self.snapshot.record)
        record["history"] = self.history.columns_to(record.pop("rows"))
        for name in ("highest", "last", "best"):
            # Of what is never the answer, no weights are kept.
            record[name] = reduced(record[name], whole=name == "last" or self.run.estimator.comparable)
        self.run.checkpoint.save(attrs.evolve(self.snapshot, record=record), self._identity())
        self.snapshot = None

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
        self._record(point, step)
        if self.run.callback is not None and self.run.callback.ends(self.result()):
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

    def _record(self, point: Point, step: float) -> None:
        estimate = point.estimate
        # Copying a network's weights every iteration would cost more than the history, which keeps none, is worth.
        small = self.evaluator.n <= History.max_n
        error = estimate.standard_error if small else None
        self.history.append(
            x=self._point(point) if small else math.nan,
            fun=estimate.fun,
            fun_standard_error=estimate.fun_standard_error,
            step=step,
            sigma=estimate.sigma,
            nfev=self.evaluator.nfev,
            seconds=time.perf_counter() - self.began,
            standard_error=self._own_units(error) if error is not None else self._unknown(small),
        )

    def _point(self, point: Point) -> NDArray[np.float64]:
        return as_array(self.evaluator.unscale(point.x)).copy()

    def _own_units(self, derivative: torch.Tensor) -> NDArray[np.float64]:
        return np.asarray(as_array(derivative) / self.run.x_scale)

    def _error_bars(self, estimate: Estimate) -> NDArray[np.float64] | None:
        error = estimate.x_standard_error
        return None if error is None else np.asarray(as_array(error) * self.run.x_scale)

    def _unknown(self, small: bool) -> NDArray[np.float64]:
        return np.full(self.evaluator.n if small else (), np.nan)

    def _answer(self) -> Point | None:
        """The last point; unless, where it has not converged, an earlier one was lower by more than two errors.

        A wide kernel's value is uncertain: one that has grown again is no reason to leave what a narrow one found.
        """
        if self.last is None or self.best is None:
            return None
        last, best = self.last.estimate, self.best.estimate
        if self.status.success or not self.run.estimator.comparable:
            return self.last
        if last.sigma > best.sigma and last.fun > best.fun:
            return self.best
        margin = 2 * math.hypot(last.fun_standard_error, best.fun_standard_error)
        return self.last if last.fun <= best.fun + margin else self.best

    def _message(self) -> str:
        note = "" if self.last is None else self.last.estimate.note
        if self.last is None and self.status is Status.MAXFEV:
            budget, cost = self.evaluator.budget.maxfev, self.run.estimator.cost(self.evaluator.n)
            note = f"it is {budget:.0f}, and the first estimate takes {cost}" if cost > budget else ""
        return f"{self.status.value}; {note}" if note else self.status.value

    def result(self) -> OptimizeResult:
        """Everything known now; what takes copying is worked out when asked for."""
        answer, last, best = self._answer(), self.last, self.best

        def point(of: Point | None) -> Deferred | None:
            return None if of is None else Deferred(partial(self._point, of))

        def derivative(of: torch.Tensor | None) -> Deferred | None:
            return None if of is None else Deferred(partial(self._own_units, of))

        result = OptimizeResult(
            x=self.run.x0.copy() if answer is None else point(answer),
            fun=math.nan if answer is None else answer.estimate.fun,
            fun_standard_error=math.nan if answer is None else answer.estimate.fun_standard_error,
            jac=None if answer is None else derivative(answer.estimate.jac),
            standard_error=None if answer is None else derivative(answer.estimate.standard_error),
            x_standard_error=None if answer is None else self._error_bars(answer.estimate),
            x_last=point(last),
            fun_last=math.nan if last is None else last.estimate.fun,
            x_best=point(best),
            fun_best=math.nan if best is None else best.estimate.fun,
            success=self.status.success,
            status=self.status,
            message=self._message(),
            nfev=self.evaluator.nfev,
            nit=max(len(self.history) - 1, 0),
            n_nonfinite=self.evaluator.n_nonfinite,
            seconds=time.perf_counter() - self.began,
            history=self.history,
            problem=self.run.problem,
            estimator=self.run.estimator,
            method=self.run.method,
            choice=self.run.choice,
        )
        result["parameters"] = Deferred(lambda: self.run.problem.parameters(result.x))
        return result


def as_array(x: torch.Tensor) -> NDArray[np.float64]:
    """What users get for a tensor of the loop's."""
    array: NDArray[np.float64] = x.detach().cpu().double().numpy()
    return array


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
