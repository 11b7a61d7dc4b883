"""A run, composed and validated before anything is opened."""

from __future__ import annotations

import inspect
import math
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy.optimize import Bounds

from invopt._arguments import as_bounds, as_limit, check_pairing, check_start, kept, resolve_problem
from invopt._callback import Callback, as_callback
from invopt._chained import chained
from invopt._checkpoint import Checkpoint, as_checkpoint
from invopt._choice import choose
from invopt._estimator import Estimator
from invopt._loop import Loop
from invopt._optimizer import Optimizer
from invopt._problem import Objective, Problem
from invopt._result import OptimizeResult
from invopt._scipy_habits import check_habits
from invopt._scipy_options import settled
from invopt._stopping import Tolerances
from invopt._validators import as_flag, as_integer, as_real, as_vector, require
from invopt._workers import Workers, as_workers, check_shareable, open_objective

__all__ = ["Run", "prepare"]


@frozen(kw_only=True, eq=False)
class Run:
    """Everything a run is made of, validated, before anything is opened."""

    problem: Problem
    estimator: Estimator
    method: Optimizer
    choice: str
    x0: NDArray[np.float64]
    bounds: Bounds | None
    x_scale: NDArray[np.float64]
    rng: np.random.Generator
    maxiter: float
    maxfev: float
    maxtime: float
    max_nonfinite: float
    tolerances: Tolerances
    callback: Callback | None
    workers: Workers
    progress: bool
    checkpoint: Checkpoint | None = None

    def open(self) -> AbstractContextManager[Objective]:
        """Open the objective for the length of a block: here, or in the workers."""
        self.problem.prepare()
        return open_objective(self.problem, self.workers)

    def loop(self, objective: Objective) -> OptimizeResult:
        """Run the loop on an open objective."""
        return Loop(run=self, objective=objective).run_to_end()


def prepare(
    problem: Any,
    estimator: Any = None,
    method: Any = None,
    *,
    x0: Any = None,
    args: Any = (),
    jac: Any = None,
    hess: Any = None,
    hessp: Any = None,
    bounds: Any = None,
    constraints: Any = (),
    x_scale: Any = None,
    rng: Any = None,
    maxiter: float | None = None,
    maxfev: float | None = None,
    maxtime: float | None = None,
    tol: float | None = None,
    gtol: float | None = None,
    xtol: float | None = None,
    ftol: float | None = None,
    max_nonfinite: float = 0.5,
    callback: Any = None,
    options: Any = None,
    workers: Workers | None = None,
    progress: bool | None = None,
    checkpoint: Checkpoint | str | Path | None = None,
) -> Run:
    """Validate the arguments of `minimize`, without opening or evaluating anything."""
    check_habits(estimator=estimator, hessp=hessp, constraints=constraints)
    bounds = kept(bounds)
    described = resolve_problem(problem, x0, bounds, x_scale, args=args, jac=jac, hess=hess)
    limits = {"maxiter": maxiter, "maxfev": maxfev, "maxtime": maxtime, "progress": progress}
    tolerances = {"gtol": gtol, "xtol": xtol, "ftol": ftol}
    asked, settings = settled(method, tol=tol, options=options, arguments=_ARGUMENTS, **limits, **tolerances)
    scale = _as_scale(described.x_scale if x_scale is None else x_scale, described.n)
    chosen, chosen_method, why = choose(described, estimator, asked, as_limit("maxfev", settings["maxfev"]), scale)
    check_pairing(described, chosen, chosen_method)
    endless, chosen = chosen.endless, chained(chosen, described)
    check_pairing(described, chosen, chosen_method)
    box = described.bounds if bounds is None else as_bounds(bounds, described.n)
    return Run(
        problem=described,
        estimator=chosen,
        method=chosen_method,
        choice=why,
        x0=check_start(described.x0 if x0 is None else x0, box, described.n),
        bounds=box,
        x_scale=scale,
        rng=_as_rng(rng),
        **_limits(settings, described.n, endless=endless),
        max_nonfinite=_as_share(max_nonfinite),
        tolerances=Tolerances(**{name: settings[name] for name in tolerances}),
        callback=as_callback(callback, with_state=chosen_method.calls_back_with_state),
        workers=_as_shareable(workers, described, chosen),
        progress=_as_progress(settings["progress"]),
        checkpoint=as_checkpoint(checkpoint),
    )


_ARGUMENTS = frozenset(inspect.signature(prepare).parameters)


def _limits(settings: dict[str, Any], n: int, *, endless: bool) -> dict[str, float]:
    """Budgets; without any, iterations have a default. Where estimates can be free, evaluations alone end no run."""
    maxiter, maxfev = as_limit("maxiter", settings["maxiter"]), as_limit("maxfev", settings["maxfev"])
    maxtime = as_limit("maxtime", settings["maxtime"], whole=False)
    if min(maxiter, maxtime) == math.inf and (maxfev == math.inf or endless) and not settings["limited"]:
        maxiter = min(200.0 * n, 10_000.0)
    return {"maxiter": maxiter, "maxfev": maxfev, "maxtime": maxtime}


def _as_rng(rng: Any) -> np.random.Generator:
    try:
        return np.random.default_rng(as_integer("rng", rng) if isinstance(rng, float | np.floating) else rng)
    except (TypeError, ValueError) as error:
        raise TypeError(f"'rng' must be a Generator, a non-negative int or None: {rng!r} ({error})") from None


def _as_scale(x_scale: Any, n: int) -> NDArray[np.float64]:
    scale = as_vector("x_scale", x_scale, size=n)
    require("x_scale", bool((scale > 0).all()), "> 0", x_scale)
    return scale


def _as_share(max_nonfinite: Any) -> float:
    share = as_real("max_nonfinite", max_nonfinite)
    require("max_nonfinite", 0 <= share < 1, "in [0, 1)", max_nonfinite)
    return share


def _as_shareable(workers: Any, problem: Problem, estimator: Estimator) -> Workers:
    shared = as_workers(workers)
    if shared != 1:
        check_shareable(problem, estimator.needs)
    return shared


def _as_progress(progress: Any) -> bool:
    return sys.stderr.isatty() if progress is None else as_flag("progress", progress)
