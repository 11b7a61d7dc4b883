"""Cell of the matrix: one task, one method, one start; run, checked and measured."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import numpy as np
from attrs import asdict, field, frozen
from numpy.typing import NDArray

from invopt.core.estimator import Estimator, Order
from invopt.core.objective import Objective
from invopt.core.optimizer import Optimizer
from invopt.core.problem import Problem
from invopt.core.registry import resolve
from invopt.core.result import OptimizeResult, Status
from invopt.core.validators import integer, real
from invopt.exceptions import InvoptError
from invopt.network.chain_rule import chained
from invopt.run.arguments.options import Options
from invopt.run.arguments.pairing import check_pairing
from invopt.run.ending.answer import MOST_EVALUATIONS
from invopt.run.loop import run_loop
from invopt.run.prepare import prepare

from .counted import CountedObjective
from .image_error import ImageError
from .presets import presets
from .settings import make_problem

__all__ = ["Cell", "CellError", "Outcome", "digest", "make_parts", "refusal", "run_cell", "search", "start"]

Array = NDArray[np.float64]

# Smallest ratio of successive evaluation counts at which the image error is measured: each measurement renders, and the
# count at which an error is reached is then known to 25 %.
IMAGE_COUNT_RATIO = 1.25
# Larger points, such as the weights of a network, are kept as digests only: a file has 32 kB for each point at most.
MAX_N = 4096
# Share by which the first point may differ from the start: a change of units may round its last digits.
_SAME_START_TOLERANCE = 1e-12


class CellError(InvoptError, RuntimeError):
    """A run broke the rules of the benchmark, or exceeded its time."""


@frozen(kw_only=True)
class Cell:
    """A run of the matrix.

    Parameters
    ----------
    task, method : str
        Registered name of a task; a preset, or ``estimator+method`` by their registered names.
    seed : int
        Seed of the start; the run has another generator, made of the same number.
    size : {"tiny", "default", "paper"}, default "default"
        Size of the task.
    maxfev : int
        Limit of evaluations.
    maxtime : float, default 120
        Limit in seconds.
    shared_reference : bool, default False
        Render the target with the seed of every render, as the paper's code does; see `make_problem`.
    """

    task: str
    method: str
    seed: int = field(validator=integer(0))
    size: str = "default"
    maxfev: int = field(validator=integer(1))
    maxtime: float = field(default=120.0, validator=real(above=0))
    shared_reference: bool = False

    @property
    def problem(self) -> Problem:
        """Problem of the task at this size."""
        return make_problem(self.task, self.size, self.shared_reference)


@frozen(eq=False)
class Outcome:
    """Results of a cell: numbers and text in `record`, the history in `arrays`."""

    record: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


def start(problem: Problem, seed: int) -> Array:
    """Start number `seed` of a task, the same for every method."""
    first: Array = problem.starts(np.random.default_rng(seed), 1)[0]
    return first


def digest(x: Array) -> str:
    """Text that differs if any bit of a point differs."""
    return hashlib.sha256(np.ascontiguousarray(x, dtype=np.float64).tobytes()).hexdigest()[:16]


def search(
    method: str, problem: Problem, objective: Objective, rng: np.random.Generator, budget: int, maxtime: float
) -> OptimizeResult:
    """Run a method on an open objective until a budget is spent, without tolerances.

    What a run keeps for its answer comes on top, so that every method can search for the whole budget.
    """
    x0 = problem.x0
    estimator, optimizer = make_parts(method, problem, x0)
    options = Options(
        estimator=estimator,
        method=optimizer,
        x0=x0,
        rng=rng,
        maxfev=budget + MOST_EVALUATIONS,
        maxtime=maxtime,
        gtol=0.0,
        xtol=0.0,
        progress=False,
    )
    return run_loop(prepare(problem, options), objective)


def make_parts(method: str, problem: Problem, x0: Array) -> tuple[Estimator, Optimizer]:
    """Estimator and optimizer of a preset or of an ``estimator+method``."""
    if method in presets():
        return presets()[method].make(problem, x0)
    estimator, _, optimizer = method.partition("+")
    return resolve("estimators", estimator, "estimator"), resolve("optimizers", optimizer, "method")


def refusal(problem: Problem, method: str, maxfev: int) -> str | None:
    """Why a method cannot work on a task, or None."""
    try:
        estimator, optimizer = make_parts(method, problem, start(problem, 0))
        estimator = chained(estimator, problem)
        check_pairing(problem, estimator, optimizer)
        estimator.init(problem)
    except (TypeError, ValueError, ImportError) as error:
        return str(error)
    n = problem.n
    needed = estimator.cost(n)
    if optimizer.requires & Order.HESS or (optimizer.requires & Order.HESSP and Order.HESS in estimator.provides):
        needed += estimator.hess_cost(n)
    if Order.HESSP in optimizer.requires:
        needed += estimator.hessp_cost(n)
    if needed > maxfev:
        return f"its first step needs {needed} evaluations, more than the budget of {maxfev}"
    return None


class _Trace:
    """Callback that notes cost and error of the present answer at each iteration."""

    def __init__(self, problem: Problem, by_value: bool) -> None:
        self._problem = problem
        self.by_value = by_value
        self._due = 0.0
        self._spent = 0.0
        self._answer: Array | None = None
        self.rows: list[tuple[int, float, float]] = []
        self.pictured: list[tuple[int, Array]] = []

    def __call__(self, *, intermediate_result: OptimizeResult) -> None:
        began = time.perf_counter()
        x = intermediate_result.x_best if self.by_value else intermediate_result.x_last
        nfev, seconds = intermediate_result.nfev, intermediate_result.seconds - self._spent
        if self._answer is not None and nfev > self._due:
            self._keep()
        self._answer = x
        self.rows.append((nfev, seconds, self._problem.parameter_error(x)))
        if not self.pictured:
            self._keep()
        self._spent += time.perf_counter() - began

    def _keep(self) -> None:
        """Note the last answer for the image error, and when the next one is due."""
        assert self._answer is not None
        row = len(self.rows) - 1
        if self.pictured and self.pictured[-1][0] == row:
            return
        self.pictured.append((row, self._answer))
        self._due = self.rows[row][0] * IMAGE_COUNT_RATIO

    def end(self) -> None:
        """Note the last answer of the run."""
        if self.rows:
            self._keep()


def run_cell(cell: Cell, problem: Problem, objective: Objective) -> Outcome:
    """Run a cell on an open objective; an error of any kind is noted in the outcome."""
    began = time.perf_counter()
    x0 = start(problem, cell.seed)
    record: dict[str, Any] = asdict(cell) | {"n": problem.n, "x0_digest": digest(x0), "failure": None}
    try:
        metrics, arrays = _run(cell, problem, objective, x0)
    except Exception as error:  # noqa: BLE001 - the other cells still run
        metrics, arrays = {"failure": f"{type(error).__name__}: {error}"}, {}
    return Outcome(record | metrics | {"cell_seconds": time.perf_counter() - began}, arrays)


def _run(
    cell: Cell, problem: Problem, objective: Objective, x0: Array
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    counted = CountedObjective(objective, problem.samples)
    estimator, method = make_parts(cell.method, problem, x0)
    trace = _Trace(problem, by_value=method.requires == Order.FUN)
    options = Options(
        estimator=estimator,
        method=method,
        x0=x0,
        # Another generator than the start's: a run must not know how its start was drawn.
        rng=np.random.default_rng([cell.seed, 1]),
        maxfev=cell.maxfev,
        maxtime=cell.maxtime,
        gtol=0.0,
        xtol=0.0,
        callback=trace,
        progress=False,
    )
    result = run_loop(prepare(problem, options), counted)
    trace.end()
    _check(cell, result, counted.count, trace, x0)
    arrays = _arrays(trace, ImageError(problem, objective))
    answer = result.x_best if trace.by_value else result.x_last
    metrics = _metrics(result, float(arrays["seconds"][-1]), answer) | {
        "estimator": repr(estimator),
        "optimizer": repr(method),
    }
    return metrics, arrays | ({"x0": x0, "x": answer} if problem.n <= MAX_N else {})


def _metrics(result: OptimizeResult, seconds: float, answer: Array) -> dict[str, Any]:
    return {
        "status": result.status.name,
        "nfev": result.nfev,
        "nit": result.nit,
        "seconds": seconds,
        "fun": result.fun,
        "x_digest": digest(answer),
    }


def _check(cell: Cell, result: OptimizeResult, count: int, trace: _Trace, x0: Array) -> None:
    """Check the rules that no run may break, from outside of it."""
    if result.status is Status.MAXTIME:
        raise CellError(f"exceeded its time of {cell.maxtime:g} s after {result.nfev} evaluations")
    if result.status is Status.INTERRUPTED:
        raise KeyboardInterrupt
    if count != result.nfev:
        raise CellError(f"reports {result.nfev} evaluations, but made {count}")
    if count > cell.maxfev:
        raise CellError(f"made {count} evaluations with a budget of {cell.maxfev}")
    if not trace.rows:
        raise CellError(f"ended before its first estimate: {result.message}")
    first, tolerance = trace.pictured[0][1], _SAME_START_TOLERANCE
    if not np.allclose(first, x0, rtol=tolerance, atol=tolerance):
        raise CellError("its first point is not its start")


def _arrays(trace: _Trace, image_error: ImageError) -> dict[str, NDArray[Any]]:
    nfev, seconds, errors = (np.array(column) for column in zip(*trace.rows, strict=True))
    measured: list[float] = []
    previous: Any = None
    for _, x in trace.pictured:
        # A method that only compares values keeps its answer for many iterations: not measured again.
        measured.append(measured[-1] if np.array_equal(previous, x) else image_error(x))
        previous = x
    return {
        "nfev": nfev.astype(np.int64),
        "seconds": seconds,
        "parameter_error": errors,
        "image_row": np.array([row for row, _ in trace.pictured], dtype=np.int64),
        "image_error": np.array(measured),
    }
