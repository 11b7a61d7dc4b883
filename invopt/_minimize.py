"""`minimize`: a run from its parts to its result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import Bounds

from invopt._checkpoint import Checkpoint
from invopt._estimator import Estimator
from invopt._optimizer import Optimizer
from invopt._prepare import prepare
from invopt._problem import Problem
from invopt._result import OptimizeResult
from invopt._scipy_habits import by_position
from invopt._workers import Workers

__all__ = ["minimize"]


def minimize(
    problem: Problem | str | Callable[..., Any],
    *parts: Estimator | Optimizer | ArrayLike | tuple[Any, ...] | None,
    estimator: Estimator | str | None = None,
    method: Optimizer | str | None = None,
    x0: ArrayLike | None = None,
    args: Any = (),
    jac: Callable[..., Any] | bool | None = None,
    hess: Callable[..., Any] | None = None,
    hessp: None = None,
    bounds: Bounds | Iterable[tuple[float | None, float | None]] | None = None,
    constraints: tuple[()] = (),
    x_scale: ArrayLike | None = None,
    rng: np.random.Generator | int | None = None,
    maxiter: float | None = None,
    maxfev: float | None = None,
    maxtime: float | None = None,
    tol: float | None = None,
    gtol: float | None = None,
    xtol: float | None = None,
    ftol: float | None = None,
    max_nonfinite: float = 0.5,
    callback: Callable[..., object] | None = None,
    options: Mapping[str, Any] | None = None,
    workers: Workers | None = None,
    progress: bool | None = None,
    checkpoint: Checkpoint | str | Path | None = None,
) -> OptimizeResult:
    """Minimize a black box from samples of its values.

    Parameters
    ----------
    problem : Problem, str or callable
        What is minimised: an object, a registered name ("mug"), or ``f(x) -> float`` together with `x0`.
    *parts
        By position: ``minimize(problem, estimator, method)``, or as in scipy ``minimize(f, x0, args, method)``.
    estimator : Estimator or str, optional
        How derivatives are estimated. By default, or for "auto", chosen for the problem: `ExactDerivative` where a
        function has its own; what the problem names itself; else `GaussNewton` where residuals are known,
        `SampleHistory` for few parameters, `SharedSamples` for more. ``res.choice`` says which and why. "paper": the
        paper's `AggregateHVP` with `FletcherReevesCG`, at its authors' settings.
    method : Optimizer or str, optional
        How they become steps; by default the best match for what the estimator provides. Names of scipy's methods, in
        any case, stand for `optimizers.Scipy`, but for those that name one of ours: "bfgs", "cg", "newton-cg".
    x0 : array_like, shape (n,), optional
        Start; by default the problem's. One number where n = 1.
    args : tuple, optional
        Further arguments of a callable, after x: ``f(x, *args)``, and of its `jac` and `hess`.
    jac : callable or True, optional
        Gradient of a callable, shape (n,); True: it returns (f, gradient). Estimators that sample do not use it.
    hess : callable, optional
        Its Hessian, shape (n, n), together with `jac`.
    hessp, constraints
        Refused: they are scipy's, and not supported.
    bounds : Bounds or iterable of pairs, optional
        Box that no evaluation leaves: points outside are projected. None or inf in a pair is no bound. By default the
        problem's.
    x_scale : array_like, shape (n,), optional
        Typical size of change in each parameter, > 0: the unit of sigma, steps and tolerances.
    rng : Generator, int or None
        The one source of randomness (SPEC 7).
    maxiter, maxfev : int, optional
        Iterations and evaluations, never exceeded; 1e4 is an integer. Without any budget, `maxiter` is
        ``min(200 n, 10000)``. With a method of scipy's, an iteration is a point that it visits.
    maxtime : float, optional
        Seconds after which no evaluation is begun.
    tol : float, optional
        Both `gtol` and `xtol`, where they are not given.
    gtol : float, optional
        By default 1e-6. Converged when ``max_i |jac_i| + 2 standard_error_i <= gtol`` (projected gradient, units of
        `x_scale`).
    xtol : float, optional
        By default 1e-8. Converged when the step is no longer than this, in units of `x_scale`.
    ftol : float, optional
        By default 0, never. Converged when
        ``|fun - fun_previous| + 2 standard_error <= ftol * max(|fun|, |fun_previous|)``.
    max_nonfinite : float, default 0.5
        Non-finite values are dropped and the rest re-weighted, up to this share of a call; then `NonFiniteError`.
    callback : callable, optional
        Called after every iteration: ``callback(intermediate_result)``, by keyword, where a parameter has this name;
        else ``callback(xk)`` with a copy of the point. Raising ``StopIteration`` ends the run. What it returns counts,
        as in scipy, only for ``callback(xk, state)``, which is for the method "trust-constr": True ends the run.
    options : dict, optional
        scipy's: ``maxiter``, ``maxfev`` or ``maxfun``, ``maxtime``, ``gtol``, ``xtol``, ``ftol``, ``disp`` (`progress`)
        stand for the arguments. With a method of scipy's all but ``maxfev``, ``maxtime`` and ``disp`` are that
        method's own, as is `tol`; the run's tolerances are then only tightened by them.
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

    Workers of an executor or a map are yours: they keep the last objective open until they end or open another, and on
    other machines ``maxtime`` cannot call off what they have queued.

    Examples
    --------
    >>> import invopt
    >>> res = invopt.minimize(lambda x: (x[0] - 1) ** 2 + x[1] ** 2, x0=[3.0, 2.0], rng=0, maxfev=600)
    >>> bool(abs(res.x[0] - 1) < 1e-2)
    True
    """
    given = by_position(problem, parts, {"estimator": estimator, "method": method, "x0": x0, "args": args})
    run = prepare(
        problem,
        **given,
        jac=jac,
        hess=hess,
        hessp=hessp,
        bounds=bounds,
        constraints=constraints,
        x_scale=x_scale,
        rng=rng,
        maxiter=maxiter,
        maxfev=maxfev,
        maxtime=maxtime,
        tol=tol,
        gtol=gtol,
        xtol=xtol,
        ftol=ftol,
        max_nonfinite=max_nonfinite,
        callback=callback,
        options=options,
        workers=workers,
        progress=progress,
        checkpoint=checkpoint,
    )
    with run.open() as objective:
        return run.loop(objective)
