"""`minimize`: composes and validates a run, then runs the loop."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import Bounds

from invopt._arguments import as_bounds, as_limit, as_scale, check_pairing, check_start, resolve_problem
from invopt._chained import chained
from invopt._choice import Choice, choose
from invopt._estimator import Estimator
from invopt._identify import is_training, part_digests, rng_digest, subject_digests
from invopt._kept import as_kept
from invopt._loop import Loop
from invopt._lost import Failures, as_failures
from invopt._optimizer import Optimizer
from invopt._problem import Objective, Problem
from invopt._result import OptimizeResult
from invopt._resuming import Resumption, resume
from invopt._sought import Sought
from invopt._stopping import Tolerances
from invopt._validators import as_real, require
from invopt._workers import Workers, as_timeout, as_workers, check_shareable, open_objective
from invopt.identity import digest
from invopt.journal import Journal
from invopt.journal.claim import Claim
from invopt.snapshots import Checkpoint

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
    failures: Failures
    timeout: float
    tolerances: Tolerances
    callback: Callback | None
    workers: Workers
    progress: bool
    sought: Sought
    training: bool
    checkpoint: Checkpoint | None = None
    journal: Journal | None = None
    # What tells it from others, where it is kept: digests by part, and those that a file must agree in.
    identity: dict[str, str] = field(factory=dict)
    identity_name: str | None = None
    given: frozenset[str] = frozenset()
    claim: Claim | None = None
    claim_environment: dict[str, str] = field(factory=dict)

    def open(self) -> AbstractContextManager[Objective]:
        """Open the objective for the length of a block: here, or in the workers."""
        self.problem.prepare()
        return open_objective(self.problem, self.workers, self.timeout)

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
    failures: Failures = "raise",
    timeout: float | None = None,
    callback: Callback | None = None,
    workers: Workers | None = None,
    progress: bool | None = None,
    journal: Journal | str | Path | None = None,
    checkpoint: Checkpoint | str | Path | None = None,
    identity: str | None = None,
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
        Seconds after which no evaluation is begun. In ``workers=k`` those at work are ended then; in an executor they
        are given up.
    gtol : float, default 1e-6
        Converged when ``max_i |jac_i| + 2 standard_error_i <= gtol`` (projected gradient, units of `x_scale`).
    xtol : float, default 1e-8
        Converged when the step is no longer than this, in units of `x_scale`.
    ftol : float, default 0
        Converged when ``|fun - fun_previous| + 2 standard_error <= ftol * max(|fun|, |fun_previous|)``; 0: never.
    max_nonfinite : float, default 0.5
        Share of a call's evaluations that may fail: with nan, -inf, residuals that are not finite, or as `failures`
        says. They are dropped and the rest re-weighted; above this share, `NonFiniteError`. Where a method asks for one
        value at a time, it is the share of all evaluations so far, and a failed one is as bad as inf.
    failures : {"raise", "nan"}, default "raise"
        What an exception of `fun`, or a `timeout`, means: the end of the run, or a failed evaluation. The first one is
        logged, the last one is in ``res.message``, and ``res.n_nonfinite`` counts them. A value of a wrong shape or
        type is an error either way.
    timeout : float, optional
        Seconds that one call of `fun` may take in a worker, > 0. With ``workers=k`` its process is then ended and
        replaced. Nothing can be ended in an executor, and it does not say when a call began: when no call has finished
        for this long, the first unfinished one, and all that the executor says are running, have failed. The executor
        goes on with them, and a worker that never returns stays occupied. Refused with a map and without workers.
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
        If the objective fails. Whatever ends a run by an error, a callback's or SystemExit too, the error's attribute
        ``result`` holds what was found.

    Notes
    -----
    **inf** is worse than every finite value. Methods that compare values see inf. Estimators that sample see the
    largest finite value of the run so far instead, so that slopes lead away from it. A run in which no value is finite
    ends with `NonFiniteError`, or with the status NONFINITE.

    **Threads.** A run keeps torch and BLAS to one thread, unless x is a network's weights: points are small, and
    threads that wait for each other make a run slower. `fun` and the callback have the number of threads that the
    program had before, and so has everything after the run. Workers have one thread each.

    **Workers.** Random numbers are still drawn here. Rows of points are handed out in chunks that do not depend on the
    number of workers, so results are the same bits for every number if the arithmetic of `fun` does not depend on its
    number of threads. The problem travels by cloudpickle: lambdas, closures, and what a script, a notebook or
    ``python -c`` defines are copied, together with the globals they use, as they are at the start of the run; what they
    change is the copy, also in a map or in threads of this process. A script needs no
    ``if __name__ == "__main__"`` and is not run again. A worker that dies is replaced and its points are evaluated
    again; if that worker dies over the same points, the evaluation has failed. Where a GPU renders, one process owns
    it: a number is reduced to 1. In processes started here stdin is empty, and what they print goes to stderr.

    Workers of an executor or a map are yours: they keep the last objective open until they end or open another. On
    other machines ``maxtime`` cannot call off what they have queued. A map is waited for until it returns.

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
        failures=failures,
        timeout=timeout,
        callback=callback,
        workers=workers,
        progress=progress,
        journal=journal,
        checkpoint=checkpoint,
        identity=identity,
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
    failures: Failures = "raise",
    timeout: float | None = None,
    callback: Callback | None = None,
    workers: Workers | None = None,
    progress: bool | None = None,
    journal: Journal | str | Path | None = None,
    checkpoint: Checkpoint | str | Path | None = None,
    identity: str | None = None,
) -> Run:
    """Validate the arguments of `minimize`, without opening or evaluating anything."""
    described = resolve_problem(problem, x0, bounds, x_scale)
    n = described.n
    box = described.bounds if bounds is None else as_bounds(bounds, n)
    scale = as_scale(described, x_scale, None if bounds is None else box)
    limits = as_limit("maxiter", maxiter), as_limit("maxfev", maxfev), as_limit("maxtime", maxtime, whole=False)
    start = check_start(described.x0 if x0 is None else x0, box, n)
    sought = Sought.within(box, start)
    generator = _as_rng(rng)
    kept = as_kept(described, journal, checkpoint, identity)

    def parts(budget: float) -> Choice:
        found = choose(described, estimator, method, budget, scale, sought.n)
        check_pairing(described, found.estimator, found.method)
        return found

    found, identified = parts(limits[1]), {}
    resumption: Resumption | None = None
    if kept.any:
        identified = subject_digests(described, box, scale, identity) | {"start": digest(start, "x0")}
    if kept.journal is not None:
        resumption = resume(
            kept.journal, described, identified, parts, limits[1], generator, rng_given=rng is not None, x_scale=scale
        )
        found, generator = resumption.choice, resumption.rng
    if kept.checkpoint is not None:
        identified |= part_digests(found.estimator, found.method) | {"rng": rng_digest(generator)}
    chosen = chained(found.estimator, described)
    check_pairing(described, chosen, found.method)
    # Where estimates can be free, no budget of evaluations ends a run.
    unlimited = min(limits[0], limits[2]) == math.inf and (limits[1] == math.inf or found.estimator.endless)
    share = as_real("max_nonfinite", max_nonfinite)
    require("max_nonfinite", 0 <= share < 1, "in [0, 1)", max_nonfinite)
    if callback is not None and not callable(callback):
        raise TypeError(f"'callback' must be callable as callback(*, intermediate_result): {callback!r}")
    shared = as_workers(workers)
    limit = as_timeout(timeout, shared)
    if shared != 1:
        check_shareable(described, chosen.needs)
    optional = {name for name, given in {"start": x0, "rng": rng}.items() if given is None}
    return Run(
        problem=described,
        estimator=chosen,
        method=found.method,
        choice=found.why,
        x0=start,
        bounds=box,
        x_scale=scale,
        sought=sought,
        rng=generator,
        maxiter=min(200.0 * n, 10_000.0) if unlimited else limits[0],
        maxfev=limits[1],
        maxtime=limits[2],
        max_nonfinite=share,
        failures=as_failures(failures, chosen.needs),
        timeout=math.inf if limit is None else limit,
        tolerances=Tolerances(gtol=gtol, xtol=xtol, ftol=ftol),
        callback=callback,
        workers=shared,
        progress=sys.stderr.isatty() if progress is None else progress,
        training=is_training(described),
        checkpoint=kept.checkpoint,
        journal=kept.journal,
        identity=identified,
        identity_name=identity,
        given=frozenset(identified.keys() - optional),
        claim=None if resumption is None else resumption.claim,
        claim_environment={} if resumption is None else resumption.environment,
    )


def _as_rng(rng: Any) -> np.random.Generator:
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise TypeError(f"'rng' must be a Generator, a non-negative int or None: {rng!r} ({error})") from None
