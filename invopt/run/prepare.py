"""From the arguments of `minimize` to a run, without opening or evaluating anything."""

from __future__ import annotations

import inspect
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invopt.core.estimator import Estimator
from invopt.core.formatting import shown
from invopt.core.problem import Problem
from invopt.core.validators import as_flag, as_integer, as_real, require
from invopt.evaluate.failures import Failures, as_failures
from invopt.evaluate.sought import Sought
from invopt.evaluate.workers.open import Workers, as_timeout, as_workers, check_shareable
from invopt.journal import Journal
from invopt.network.chain_rule import chained
from invopt.run.arguments import as_bounds, as_limit, as_scale, check_pairing, check_start, listed, resolve_problem
from invopt.run.callback import as_callback
from invopt.run.default_parts import Choice, choose
from invopt.run.keeping.kept import Subject, as_files, compose
from invopt.run.run import Run
from invopt.run.scipy_habits import check_habits
from invopt.run.scipy_options import settled
from invopt.run.stopping import Tolerances
from invopt.snapshots import Checkpoint

__all__ = ["prepare"]

# Scales that a start may be away from 0.
_FARTHEST = 1e300


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
    failures: Failures = "raise",
    timeout: float | None = None,
    callback: Any = None,
    options: Any = None,
    workers: Workers | None = None,
    progress: bool | None = None,
    journal: Journal | str | Path | None = None,
    checkpoint: Checkpoint | str | Path | None = None,
    identity: str | None = None,
) -> Run:
    """Validate the arguments of `minimize`, without opening or evaluating anything."""
    check_habits(estimator=estimator, hessp=hessp, constraints=constraints)
    bounds = listed(bounds)
    described = resolve_problem(problem, x0, bounds, x_scale, args=args, jac=jac, hess=hess)
    limits = {"maxiter": maxiter, "maxfev": maxfev, "maxtime": maxtime, "progress": progress}
    tolerances = {"gtol": gtol, "xtol": xtol, "ftol": ftol}
    asked, settings = settled(method, tol=tol, options=options, arguments=_ARGUMENTS, **limits, **tolerances)
    n = described.n
    box = described.bounds if bounds is None else as_bounds(bounds, n)
    scale = as_scale(described, x_scale, None if bounds is None else box)
    start = check_start(described.x0 if x0 is None else x0, box, n)
    require("x0", _is_finite_in(scale, start), "within 1e300 scales of 0: see 'x_scale'", start.tolist())
    sought = Sought.within(box, start)

    def parts(budget: float) -> Choice:
        found = choose(described, estimator, asked, budget, scale, sought.n)
        check_pairing(described, found.estimator, found.method)
        return found

    choice, generator, kept = compose(
        Subject(problem=described, x0=start, bounds=box, x_scale=scale, identity=identity),
        parts,
        as_limit("maxfev", settings["maxfev"]),
        _as_rng(rng),
        as_files(described, journal, checkpoint, identity),
        {"start": x0 is not None, "rng": rng is not None},
    )
    chosen, chosen_method = chained(choice.estimator, described), choice.method
    check_pairing(described, chosen, chosen_method)
    shared = _as_shareable(workers, described, chosen)
    return Run(
        problem=described,
        estimator=chosen,
        method=chosen_method,
        choice=choice.why,
        x0=start,
        bounds=box,
        x_scale=scale,
        sought=sought,
        rng=generator,
        **_limits(settings, n, endless=choice.estimator.endless),
        max_nonfinite=_as_share(max_nonfinite),
        failures=as_failures(failures, chosen.needs),
        timeout=as_timeout(timeout, shared),
        tolerances=Tolerances(**{name: settings[name] for name in tolerances}),
        callback=as_callback(callback, with_state=chosen_method.calls_back_with_state),
        workers=shared,
        progress=_as_progress(settings["progress"]),
        kept=kept,
    )


def _is_finite_in(scale: NDArray[np.float64], start: NDArray[np.float64]) -> bool:
    with np.errstate(over="ignore"):
        return bool((np.abs(start / scale) <= _FARTHEST).all())


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
        if isinstance(rng, list | tuple) and np.ndim(rng) > 1:
            raise ValueError("a sequence must be flat")
        return np.random.default_rng(as_integer("rng", rng) if isinstance(rng, float | np.floating) else rng)
    except Exception as error:  # noqa: BLE001 - whatever looking at it raises
        raise TypeError(f"'rng' must be a Generator, a non-negative int or None: {shown(rng)} ({error})") from None


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
