"""Prepare a run from the arguments of `minimize`.

Nothing is opened or evaluated.
"""

from __future__ import annotations

import math
import sys
from functools import partial
from typing import Any

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from invopt.core.formatting import shown
from invopt.core.problem import Problem
from invopt.core.validators import as_integer, require
from invopt.evaluate.failures import as_failures
from invopt.evaluate.sought import Sought
from invopt.evaluate.workers.open import as_timeout, check_shareable
from invopt.network.chain_rule import chained
from invopt.run.arguments.bounds import as_bounds, as_scale, check_start
from invopt.run.arguments.callback import as_callback
from invopt.run.arguments.options import Options
from invopt.run.arguments.pairing import check_pairing
from invopt.run.arguments.problem import resolve_problem
from invopt.run.arguments.scipy_options import Settled, settle
from invopt.run.default_parts import Choice, choose
from invopt.run.keeping.kept import Composed, Subject, as_files, compose
from invopt.run.run import Run

__all__ = ["prepare"]

# Largest |x0 / x_scale|: below the largest float, 1.8e308, with room for steps.
_LARGEST_START = 1e300
# Iterations where no budget is given: 200 n is scipy's default for Nelder-Mead, bounded for many parameters.
_ITERATIONS_PER_PARAMETER, _MOST_ITERATIONS = 200.0, 10_000.0


def prepare(problem: Any, options: Options) -> Run:
    """Validate the arguments of `minimize` and compose a run from them.

    Parameters
    ----------
    problem : Problem, str or callable
        What is minimised.
    options : Options
        All other arguments.

    Returns
    -------
    Run
        Nothing is open or evaluated yet.
    """
    described = resolve_problem(problem, options)
    found = settle(options)
    settings = found.options
    if settings.x0 is not None:
        described, start = described.started(settings.x0)
        settings = settings if start is settings.x0 else evolve(settings, x0=start)
    subject = _subject(described, settings)
    sought = Sought.within(subject.bounds, subject.x0)
    composed = compose(
        subject,
        partial(_choose, subject, sought.n, settings),
        _or_unlimited(settings.maxfev),
        _as_rng(settings.rng),
        as_files(described, settings.journal, settings.checkpoint),
        {"start": settings.x0 is not None, "rng": settings.rng is not None},
    )
    return _composed(subject, sought, composed, found)


def _subject(problem: Problem, settings: Options) -> Subject:
    """What is minimised, from which start, within which bounds, in which scales."""
    box = problem.bounds if settings.bounds is None else as_bounds(settings.bounds, problem.n)
    scale = as_scale(problem, settings.x_scale, None if settings.bounds is None else box)
    start = check_start(problem.x0 if settings.x0 is None else settings.x0, box, problem.n)
    near = _is_near_zero(start, scale)
    require("x0", near, "within 1e300 scales of 0: see 'x_scale'", start.tolist())
    return Subject(problem=problem, x0=start, bounds=box, x_scale=scale, identity=settings.identity)


def _is_near_zero(start: NDArray[np.float64], scale: NDArray[np.float64]) -> bool:
    with np.errstate(over="ignore"):
        return bool((np.abs(start / scale) <= _LARGEST_START).all())


def _choose(subject: Subject, n: int, settings: Options, maxfev: float, batch: int | None = None) -> Choice:
    """Choose estimator and method for a budget and a batch, `n` parameters being free."""
    if batch is None:
        # Renderers on a GPU, and pairs of them on a CPU, gain little by further points.
        batch = settings.workers if isinstance(settings.workers, int) and not subject.problem.renders else 1
    found = choose(subject.problem, settings.estimator, settings.method, maxfev, subject.x_scale, n, batch)
    check_pairing(subject.problem, found.estimator, found.method)
    return found


def _composed(subject: Subject, sought: Sought, composed: Composed, settled: Settled) -> Run:
    """Compose the run from its validated parts."""
    problem, method, settings = subject.problem, composed.choice.method, settled.options
    estimator = chained(composed.choice.estimator, problem)
    check_pairing(problem, estimator, method)
    if settings.workers != 1:
        check_shareable(problem, estimator.needs)
    shaded = problem.shades & sought.free if method.eliminates else None
    return Run(
        problem=problem,
        estimator=estimator,
        method=method,
        choice=composed.choice.why,
        x0=subject.x0,
        bounds=subject.bounds,
        x_scale=subject.x_scale,
        sought=sought if shaded is None else evolve(sought, free=sought.free & ~shaded),
        shaded=shaded,
        rng=composed.rng,
        **_budgets(settled, problem.n, endless=composed.choice.estimator.endless),
        max_nonfinite=settings.max_nonfinite,
        failures=as_failures(settings.failures, estimator.needs),
        timeout=as_timeout(settings.timeout, settings.workers),
        tolerances=settled.tolerances,
        callback=as_callback(settings.callback, with_state=method.calls_back_with_state),
        workers=settings.workers,
        progress=_as_progress(settings.progress),
        kept=composed.kept,
    )


def _as_progress(given: bool | str | None) -> bool | str:
    if given is None:
        return sys.stderr.isatty()
    return given if isinstance(given, str) else bool(given)


def _budgets(settled: Settled, n: int, *, endless: bool) -> dict[str, float]:
    """Return the budgets, with a default of `maxiter` if nothing else limits the run.

    `endless`: estimates may cost no evaluation, so that `maxfev` alone does not limit it.
    """
    budgets = {name: _or_unlimited(getattr(settled.options, name)) for name in ("maxiter", "maxfev", "maxtime")}
    unlimited = min(budgets["maxiter"], budgets["maxtime"]) == math.inf and (budgets["maxfev"] == math.inf or endless)
    if unlimited and not settled.limits_itself:
        budgets["maxiter"] = min(_ITERATIONS_PER_PARAMETER * n, _MOST_ITERATIONS)
    return budgets


def _or_unlimited(budget: float | None) -> float:
    return math.inf if budget is None else budget


def _as_rng(rng: Any) -> np.random.Generator:
    try:
        if isinstance(rng, list | tuple) and np.ndim(rng) > 1:
            raise ValueError("a sequence must be flat")
        return np.random.default_rng(as_integer("rng", rng) if isinstance(rng, float | np.floating) else rng)
    except Exception as error:  # noqa: BLE001 - a user's object may raise anything
        raise TypeError(f"'rng' must be a Generator, a non-negative int or None: {shown(rng)} ({error})") from None
