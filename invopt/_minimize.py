"""`minimize`: composes and validates a run, then runs the loop."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import Bounds

from invopt._arguments import as_bounds, as_limit, check_pairing, check_start, resolve_problem
from invopt._chained import chained
from invopt._checkpoint import Checkpoint, as_checkpoint
from invopt._choice import choose
from invopt._estimator import Estimator
from invopt._loop import Loop
from invopt._optimizer import Optimizer
from invopt._problem import Objective, Problem
from invopt._result import OptimizeResult
from invopt._stopping import Tolerances
from invopt._validators import as_real, as_vector, require
from invopt._workers import Workers, as_workers, check_shareable, open_objective

__all__ = ["Run", "minimize", "prepare"]

Callback = Callable[..., object]


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
        return open_objective(self.problem, self.workers)

    def loop(self, objective: Objective) -> OptimizeResult:
        """Run the loop on an open objective."""
        return Loop(run=self, objective=objective).run_to_end()


def minimize(
    problem: Problem | str | Callable[..., Any],
    estimator: Estimator | str | None = None,
    method: Optimizer | str | None = None,
    *,
    x0: ArrayLike | None = None,
    bounds: Bounds | Sequence[tuple[float | None, float | None]] | None = None,
    x_scale: ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
    maxiter: int | None = None,
    maxfev: int | None = None,
    maxtime: float | None = None,
    gtol: float = 1e-6,
    xtol: float = 1e-8,
    ftol: float = 0.0,
    max_nonfinite: float = 0.5,
    callback: Callback | None = None,
    workers: Workers | None = None,
    progress: bool | None = None,
    checkpoint: Checkpoint | str | Path | None = None,
) -> OptimizeResult:
    """Minimize a black box from samples of its values.

    Parameters
    ----------
    problem : Problem, str or callable
        What is minimised: an object, a registered name ("mug"), or ``f(x) -> float`` together with `x0`.
    estimator : Estimator or str, optional
        How derivatives are got. By default, or for "auto", chosen for the problem: what it names itself; else
        `GaussNewton` where residuals are known, `SampleHistory` for few parameters, `SharedSamples` for more.
        ``res.choice`` says which and why. "paper": the paper's `AggregateHVP` with `FletcherReevesCG`, at its authors'
        settings.
    method : Optimizer or str, optional
        How they become steps; by default the best match for what the estimator provides.
    x0 : array_like, shape (n,), optional
        Start; by default the problem's.
    bounds : Bounds or sequence of pairs, optional
        Box that no evaluation leaves: points outside are projected. By default the problem's.
    x_scale : array_like, shape (n,), optional
        Typical size of change in each parameter, > 0: the unit of sigma, steps and tolerances.
    rng : Generator, int or None
        The one source of randomness (SPEC 7).
    maxiter, maxfev : int, optional
        Iterations and evaluations, never exceeded. Without any budget, `maxiter` is ``min(200 n, 10000)``.
    maxtime : float, optional
        Seconds after which no evaluation is begun.
    gtol : float, default 1e-6
        Converged when ``max_i |jac_i| + 2 standard_error_i <= gtol`` (projected gradient, units of `x_scale`).
    xtol : float, default 1e-8
        Converged when the step is no longer than this, in units of `x_scale`.
    ftol : float, default 0
        Converged when ``|fun - fun_previous| + 2 standard_error <= ftol * max(|fun|, |fun_previous|)``; 0: never.
    max_nonfinite : float, default 0.5
        Non-finite values are dropped and the rest re-weighted, up to this share of a call; then `NonFiniteError`.
    callback : callable, optional
        ``callback(*, intermediate_result)`` after every iteration; raising ``StopIteration`` ends the run.
    workers : int, map-like callable or Executor, optional
        Where evaluations happen. None or 1: in this process. An int k >= 2: in k processes of one thread each, started
        for this run, each with the objective open; two such beat one process on two cores. Or ``workers(func,
        iterable)``, as in scipy, or any ``concurrent.futures.Executor``: a process pool, loky's, that of
        ``dask.distributed.Client(...).get_executor()``. See Notes.
    progress : bool, optional
        Show a progress bar; by default where stderr is a terminal.
    checkpoint : Checkpoint, str or Path, optional
        File that the run is kept in, every 1000 iterations and at its end. If it is there, the run goes on from it, and
        comes to the same bits as one that never stopped; `x0` and `rng` then count for nothing.

    Returns
    -------
    OptimizeResult
        See there; Ctrl-C returns what there is.

    Raises
    ------
    TypeError, ValueError
        For bad arguments, before the first evaluation; `IncompatibleError` for parts that do not fit.
    EvaluationError, NonFiniteError
        If the objective fails. Whatever ends a run by an error, a callback's too, the error's attribute ``result``
        holds what was found.

    Notes
    -----
    With `workers`, random numbers are still drawn here, and rows of points handed out in chunks that do not depend on
    the number of workers: results are the same bits for every number, provided that the objective's own arithmetic does
    not depend on the number of its threads. The problem is pickled, so its functions must be importable; a script needs
    no ``if __name__ == "__main__"``, but without it a problem defined in the script runs the script up to here in every
    worker. A worker that dies is started once more and its points evaluated again; the second time is an
    `EvaluationError`. Where a GPU renders, one process owns it: a number is reduced to 1.

    Threads take turns with the renderer: a run whose problem renders in this process waits until another thread's has
    ended, for Mitsuba cannot be used by two at a time. A run within a callback goes on in its turn.

    Workers of an executor or a map are yours: they keep the last objective open until they end or open another, and on
    other machines ``maxtime`` cannot call off what they have queued.

    Examples
    --------
    >>> import invopt
    >>> res = invopt.minimize(lambda x: (x[0] - 1) ** 2 + x[1] ** 2, x0=[3.0, 2.0], rng=0, maxfev=600)
    >>> bool(abs(res.x[0] - 1) < 1e-2)
    True
    """
    run = prepare(
        problem,
        estimator,
        method,
        x0=x0,
        bounds=bounds,
        x_scale=x_scale,
        rng=rng,
        maxiter=maxiter,
        maxfev=maxfev,
        maxtime=maxtime,
        gtol=gtol,
        xtol=xtol,
        ftol=ftol,
        max_nonfinite=max_nonfinite,
        callback=callback,
        workers=workers,
        progress=progress,
        checkpoint=checkpoint,
    )
    with run.open() as objective:
        return run.loop(objective)


def prepare(
    problem: Any,
    estimator: Any = None,
    method: Any = None,
    *,
    x0: Any = None,
    bounds: Any = None,
    x_scale: Any = None,
    rng: Any = None,
    maxiter: int | None = None,
    maxfev: int | None = None,
    maxtime: float | None = None,
    gtol: float = 1e-6,
    xtol: float = 1e-8,
    ftol: float = 0.0,
    max_nonfinite: float = 0.5,
    callback: Callback | None = None,
    workers: Workers | None = None,
    progress: bool | None = None,
    checkpoint: Checkpoint | str | Path | None = None,
) -> Run:
    """Validate the arguments of `minimize`, without opening or evaluating anything."""
    described = resolve_problem(problem, x0, bounds, x_scale)
    n = described.n
    scale = as_vector("x_scale", described.x_scale if x_scale is None else x_scale, size=n)
    require("x_scale", bool((scale > 0).all()), "> 0", x_scale)
    limits = as_limit("maxiter", maxiter), as_limit("maxfev", maxfev), as_limit("maxtime", maxtime, whole=False)
    chosen, chosen_method, why = choose(described, estimator, method, limits[1], scale)
    check_pairing(described, chosen, chosen_method)
    # Where estimates can be free, no budget of evaluations ends a run.
    unlimited = min(limits[0], limits[2]) == math.inf and (limits[1] == math.inf or chosen.endless)
    chosen = chained(chosen, described)
    check_pairing(described, chosen, chosen_method)
    box = described.bounds if bounds is None else as_bounds(bounds, n)
    share = as_real("max_nonfinite", max_nonfinite)
    require("max_nonfinite", 0 <= share < 1, "in [0, 1)", max_nonfinite)
    if callback is not None and not callable(callback):
        raise TypeError(f"'callback' must be callable as callback(*, intermediate_result): {callback!r}")
    shared = as_workers(workers)
    if shared != 1:
        check_shareable(described, chosen.needs)
    return Run(
        problem=described,
        estimator=chosen,
        method=chosen_method,
        choice=why,
        x0=check_start(described.x0 if x0 is None else x0, box, n),
        bounds=box,
        x_scale=scale,
        rng=_as_rng(rng),
        maxiter=min(200.0 * n, 10_000.0) if unlimited else limits[0],
        maxfev=limits[1],
        maxtime=limits[2],
        max_nonfinite=share,
        tolerances=Tolerances(gtol=gtol, xtol=xtol, ftol=ftol),
        callback=callback,
        workers=shared,
        progress=sys.stderr.isatty() if progress is None else progress,
        checkpoint=as_checkpoint(checkpoint),
    )


def _as_rng(rng: Any) -> np.random.Generator:
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise TypeError(f"'rng' must be a Generator, a non-negative int or None: {rng!r} ({error})") from None
