"""The one loop that every combination of parts runs through."""

from __future__ import annotations

import math
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from attrs import define, field
from numpy.typing import NDArray

from invopt._estimator import Estimate
from invopt._evaluate import Budget, Evaluator, StopRun
from invopt._optimizer import Oracle
from invopt._problem import Objective
from invopt._result import History, OptimizeResult, Status
from invopt._stopping import PlateauWatch, Point
from invopt.exceptions import InvoptError, NonFiniteError
from invopt.report.progress import ProgressBar

if TYPE_CHECKING:
    from invopt._minimize import Run

__all__ = ["Loop", "open_evaluator"]


def open_evaluator(run: Run, objective: Objective, began: float = 0.0) -> Evaluator:
    """Evaluator of a run: scaled, bounded, limited as the run says."""
    box = run.bounds
    return Evaluator(
        objective,
        run.problem.provides,
        torch.from_numpy(run.x_scale),
        None if box is None else (torch.as_tensor(box.lb), torch.as_tensor(box.ub)),
        Budget(maxfev=run.maxfev, deadline=began + run.maxtime, max_nonfinite=run.max_nonfinite),
    )


@define(kw_only=True, eq=False)
class Loop:
    """State of a run: the evaluator, where it stands, what it has seen."""

    run: Run
    objective: Objective
    history: History = field(factory=History)
    first: Point | None = None
    last: Point | None = None
    best: Point | None = None
    status: Status = Status.RUNNING
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
            error.result = self.result()
            raise
        except Exception as error:
            # A callback's, or a method's own: whatever ends an expensive run, what it found is not lost.
            error.result = self.result()  # type: ignore[attr-defined]
            raise
        return self.result()

    def _iterate(self, bar: ProgressBar) -> Status:
        """The one loop."""
        estimator, method, rng = self.run.estimator, self.run.method, self.run.rng
        x = torch.from_numpy(self.run.x0 / self.run.x_scale)
        memory, state = estimator.init(self.run.problem), method.init(x)
        plateau = PlateauWatch()
        step, verdict = math.nan, Status.RUNNING
        estimate: Estimate | None = None
        try:
            while True:
                present = memory
                if estimate is None:
                    estimate, memory = estimator.estimate(self.evaluator, x, present, rng)
                status = self._visit(Point(x, estimate), step, plateau, verdict)
                bar.update(estimate, self.evaluator.nfev, len(self.history))
                if status is not Status.RUNNING:
                    return status
                oracle = Oracle(self.evaluator, partial(self._estimate, present), rng)
                proposed, state = method.step(x, estimate, state, oracle)
                proposed = self._checked(self.evaluator.project(proposed))
                verdict = _judged(method.status(state), estimate)
                step = float(torch.linalg.vector_norm(proposed - x))
                if verdict is not Status.RUNNING and step == 0.0:
                    return verdict
                x, estimate = proposed, oracle.known(proposed)
        finally:
            method.close(state)

    def _estimate(self, memory: Any, x: torch.Tensor) -> Estimate:
        return self.run.estimator.estimate(self.evaluator, x, memory, self.run.rng)[0]

    def _visit(self, point: Point, step: float, plateau: PlateauWatch, verdict: Status) -> Status:
        """Record a point and say whether the run ends there."""
        previous, self.last = self.last, point
        self.first = point if self.first is None else self.first
        if self.best is None or not point.estimate.fun >= self.best.estimate.fun:
            self.best = point
        self._record(point, step)
        if self.run.callback is not None:
            try:
                self.run.callback(intermediate_result=self.result())
            except StopIteration:
                return Status.CALLBACK
        if verdict is not Status.RUNNING:
            return verdict
        for status in (
            point.estimate.status,
            self.run.tolerances.status(self.first, previous, point, step, self.evaluator),
            plateau.status(point.estimate),
        ):
            if status is not Status.RUNNING:
                return status
        return Status.MAXITER if len(self.history) > self.run.maxiter else Status.RUNNING

    def _record(self, point: Point, step: float) -> None:
        estimate = point.estimate
        error = estimate.standard_error
        self.history.append(
            x=self._point(point),
            fun=estimate.fun,
            fun_standard_error=estimate.fun_standard_error,
            step=step,
            sigma=estimate.sigma,
            nfev=self.evaluator.nfev,
            seconds=time.perf_counter() - self.began,
            standard_error=np.full(self.evaluator.n, np.nan) if error is None else error.numpy() / self.run.x_scale,
        )

    @staticmethod
    def _checked(x: torch.Tensor) -> torch.Tensor:
        if not bool(torch.isfinite(x).all()):
            raise NonFiniteError("the method stepped to a point that is not finite; lower its step or raise n_samples")
        return x

    def _point(self, point: Point) -> NDArray[np.float64]:
        return np.asarray(self.evaluator.unscale(point.x).numpy().copy())

    def _answer(self) -> Point | None:
        """The last point; unless, where it has not converged, an earlier one was lower by more than two errors."""
        if self.last is None or self.best is None:
            return None
        last, best = self.last.estimate, self.best.estimate
        if self.status.success:
            return self.last
        margin = 2 * math.hypot(last.fun_standard_error, best.fun_standard_error)
        return self.last if last.fun <= best.fun + margin else self.best

    def _message(self) -> str:
        note = "" if self.last is None else self.last.estimate.note
        return f"{self.status.value}; {note}" if note else self.status.value

    def result(self) -> OptimizeResult:
        """Everything known now."""
        answer = self._answer()
        jac = None if answer is None or answer.estimate.jac is None else answer.estimate.jac
        error = None if answer is None else answer.estimate.standard_error
        certain = None if answer is None else answer.estimate.x_standard_error
        scale = self.run.x_scale
        x = self.run.x0.copy() if answer is None else self._point(answer)
        return OptimizeResult(
            x=x,
            parameters=self.run.problem.parameters(x),
            fun=math.nan if answer is None else answer.estimate.fun,
            fun_standard_error=math.nan if answer is None else answer.estimate.fun_standard_error,
            jac=None if jac is None else jac.numpy() / scale,
            standard_error=None if error is None else error.numpy() / scale,
            x_standard_error=None if certain is None else certain.numpy() * scale,
            x_last=None if self.last is None else self._point(self.last),
            fun_last=math.nan if self.last is None else self.last.estimate.fun,
            x_best=None if self.best is None else self._point(self.best),
            fun_best=math.nan if self.best is None else self.best.estimate.fun,
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


def _judged(verdict: Status, estimate: Estimate) -> Status:
    """A method's own verdict; of a rule that takes estimates for exact, no success where they are sampled."""
    return Status.UNSURE if verdict is Status.FINISHED and estimate.sigma > 0 else verdict
