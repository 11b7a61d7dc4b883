"""`minimize`: compose a problem, an estimator and a method, and run them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import Bounds

from invopt.core.estimator import Estimator
from invopt.core.objective import Objective
from invopt.core.optimizer import Optimizer
from invopt.core.priors import Gaussian, Posterior
from invopt.core.problem import Problem
from invopt.core.result import OptimizeResult
from invopt.evaluate.failures import Failures
from invopt.evaluate.workers.open import Workers
from invopt.exceptions import IncompatibleError
from invopt.journal import Journal
from invopt.run.arguments.options import Options
from invopt.run.arguments.scipy_habits import by_position
from invopt.run.loop import run_loop
from invopt.run.prepare import prepare
from invopt.snapshots import Checkpoint

__all__ = ["minimize", "minimize_on", "minimize_with"]


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
    constraints: Any = (),
    x_scale: ArrayLike | None = None,
    prior: Gaussian | tuple[ArrayLike, ArrayLike] | Callable[..., Any] | None = None,
    rng: np.random.Generator | int | None = None,
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
    callback: Callable[..., object] | None = None,
    options: Mapping[str, Any] | None = None,
    workers: Workers | None = None,
    progress: bool | str | None = None,
    journal: Journal | str | Path | None = None,
    checkpoint: Checkpoint | str | Path | None = None,
    identity: str | None = None,
) -> OptimizeResult:
    """Minimize a black box from samples of its values.

    Parameters
    ----------
    problem : Problem, str or callable
        What is minimised: an object, a registered name ("mug"), or ``f(x) -> float`` together with `x0`.
    *parts
        By position: ``minimize(problem, estimator, method)``, or as in scipy ``minimize(f, x0, args, method)``.
    estimator : Estimator or str, optional
        How derivatives are estimated. By default, or for "auto", chosen for the problem: `ExactDerivative` if a
        function has its own derivatives; else the problem's default; else `Kriging` if residuals are known,
        `FunctionValue` with `Portfolio` for values only. ``res.choice`` says which and why. "paper": the paper's
        `AggregateHVP` with `FletcherReevesCG`, with its authors' settings.
    method : Optimizer or str, optional
        How estimates become steps; by default chosen for the estimator. Names of scipy's methods, in any case, stand
        for `optimizers.Scipy`, except "bfgs", "cg" and "newton-cg", which name methods of this library.
    x0 : array_like, shape (n,), optional
        Start; by default the problem's. A number if n = 1. For `NeuralRadiosity` also a `RadianceField` or its file.
    args : tuple, optional
        Further arguments of a callable, after x: ``f(x, *args)``, and of its `jac` and `hess`.
    jac : callable or True, optional
        Gradient of a callable, shape (n,); True: the callable returns (f, gradient). Estimators that sample do not use
        it.
    hess : callable, optional
        Hessian of a callable, shape (n, n), together with `jac`.
    hessp
        An argument of scipy's that is not supported, and refused.
    bounds : Bounds or iterable of pairs, optional
        Box that no evaluation leaves: points outside are projected. None or inf in a pair is no bound. By default the
        problem's.
    constraints : constraint or sequence of them, optional
        scipy's `LinearConstraint` and `NonlinearConstraint`, or dictionaries, as functions that are cheap beside
        `fun`; or `Returned`, for those that `fun` returns too. See Notes.
    x_scale : array_like, shape (n,), optional
        Typical size of change in each parameter, > 0: the unit of sigma, steps and tolerances.
    prior : Gaussian, (mean, std) or callable, optional
        What is known of the parameters beforehand: a normal distribution, or a log density, ``prior(x) -> float``, such
        as the ``logpdf`` of scipy's distributions. See Notes.
    rng : Generator, int or None
        The only source of randomness (SPEC 7).
    maxiter, maxfev : int, optional
        Largest numbers of iterations and evaluations, never exceeded; 1e4 is an integer. Without any budget, `maxiter`
        is ``min(200 n, 10000)``. With a method of scipy's, an iteration is a point that it visits.
    maxtime : float, optional
        Seconds after which no evaluation begins. Unfinished ones are ended in workers, abandoned in an executor.
    tol, gtol : float, optional
        `tol` is the default of `gtol` and `xtol`; without it `gtol` is 1e-6. Converged when
        ``max_i |jac_i| + 2 standard_error_i <= gtol`` (projected gradient, units of `x_scale`).
    xtol, ftol : float, optional
        By default 1e-8 and 0. Converged when the step is at most `xtol`, in units of `x_scale`, or ``|fun -
        fun_previous| + 2 standard_error <= ftol * max(|fun|, |fun_previous|)``.
    max_nonfinite : float, default 0.5
        Share of a call's evaluations that may fail, in [0, 1): with nan, -inf, residuals that are not finite, or as
        `failures` says. They are dropped and the rest re-weighted; above this share, `NonFiniteError`. For methods that
        only compare values, it is the share of all evaluations so far, and a failed one counts as inf.
    failures : {"raise", "nan"}, default "raise"
        Effect of an exception of `fun` or a `timeout`: it ends the run, or counts as a failed evaluation. The first one
        is logged, the last one is in ``res.message``, and ``res.n_nonfinite`` counts them. A value of a wrong shape or
        type is always an error.
    timeout : float, optional
        Seconds that one call of `fun` may take in a worker, > 0. With ``workers=k`` its process is then ended and
        replaced. In an executor nothing can be ended, and the beginning of a call is unknown: when no call has finished
        for this long, the first unfinished call, and all that the executor reports as running, count as failed. The
        executor continues with them, and a worker that never returns stays occupied. Refused with a map and without
        workers.
    callback : callable, optional
        Called after every iteration: ``callback(intermediate_result)``, by keyword, if a parameter has this name; else
        ``callback(xk)`` with a copy of the point. Raising ``StopIteration`` ends the run. As in scipy, the return value
        counts only for ``callback(xk, state)``, which is for the method "trust-constr": True ends the run.
    options : dict, optional
        As in scipy: ``maxiter``, ``maxfev`` or ``maxfun``, ``maxtime``, ``gtol``, ``xtol``, ``ftol``, ``disp``
        (`progress`) stand for the arguments. With a method of scipy's, all except ``maxfev``, ``maxtime`` and ``disp``
        are passed to it, as is `tol`; they then only tighten the tolerances of the run.
    workers : int, map-like callable or Executor, optional
        Where evaluations happen. None or 1: in this process. An int k >= 2: in k processes of one thread each, started
        for this run, each with the objective open; on two cores, two processes are faster than one. Or ``workers(func,
        iterable)``, as in scipy, or any ``concurrent.futures.Executor``: a process pool, loky's, that of
        ``dask.distributed.Client(...).get_executor()``. See Notes.
    progress : bool or "live", optional
        Whether a progress bar is shown; by default if stderr is a terminal. "live" shows parameters and, where there
        are pictures, start, now and target, in a terminal or a notebook, at most once a second. Its renders are not
        counted, and take at most a tenth of the time.
    journal : Journal, str or Path, optional
        File to which every evaluation is written before a method sees it; cheap evaluations are written once a second.
        A call with the same problem, start, bounds, scales, estimator and method continues the run in the file: the
        result has the bits of a run that never stopped, and nothing is evaluated twice; without an `rng`, the run's own
        is used. Budgets and tolerances may differ. Many runs of many problems share one file; see `Journal`. A function
        that its own evaluations change, as one that counts its calls in its closure or instance, is continued in the
        same process too; if globals or a class have changed, or a callback was given, the next call is a new run.
    checkpoint : Checkpoint, str or Path, optional
        The same for the training of a network, whose evaluations are not kept: its state is written every minute and at
        its end, and `x0` and `rng` are compared only if they are given. For any other problem this is `journal`.
    identity : str, optional
        Name of the problem in that file, in place of its content, if the content cannot be determined. Change it
        whenever the problem changes.

    Returns
    -------
    OptimizeResult
        Answer, status and history; Ctrl-C returns the result so far.

    Raises
    ------
    TypeError, ValueError
        For invalid arguments, before the first evaluation; `IncompatibleError` for parts that do not fit together.
    EvaluationError, NonFiniteError
        If the objective fails. Every error that ends a run, also a callback's and SystemExit, has the result so far as
        its attribute ``result``.
    IdentityError, JournalError, CheckpointError
        If a run that is to be kept cannot be identified, or its file is of another kind, damaged or of another run.

    Notes
    -----
    **The answer.** When the descent has ended, ``res.fun`` is measured at ``res.x``, with a standard error, by at most
    24 evaluations, for which at most an eighth of `maxfev` is reserved. The last point, the lowest point of the
    estimates and evaluations, and the start are compared under the same seeds: the answer is never worse than any of
    them by more than the noise. One evaluation is reserved for a start that has none yet, for any `maxfev`; if fewer
    evaluations are left than there are candidates, known values are used. Two evaluations one scale away from x detect
    whether the objective depends on x there; if exact derivatives are exactly zero, up to eight more distinguish a step
    of the function from a minimum. If these values do not confirm a success, its status becomes UNSURE, PLATEAU or
    MISMATCH. After Ctrl-C, after SIGTERM, which acts like it, or after an error, the answer of an expensive objective
    is its lowest value so far, including the start's; the message says if the start was not evaluated.

    **inf** is worse than every finite value. Methods that compare values use inf. Estimators that sample use the
    largest finite value of the run so far in its place, so that slopes lead away from it. A run in which no value is
    finite ends with `NonFiniteError`, or with the status NONFINITE.

    **Priors.** If the problem has residuals whose noise has the standard deviation ``noise_std``, `fun` is the mean of
    their squares plus ``2 noise_std**2 / m`` times the negative log density of the prior; any other `fun` counts as a
    negative log-likelihood, and the negative log density is added. So ``res.x`` is the most probable point, and
    ``res.fun_prior`` the share of ``res.fun`` that is the prior's. ``res.covariance`` is that of the posterior.

    **Constraints.** Evaluations may violate them, the answer only if no feasible point was found: status INFEASIBLE. In
    the history, `fun` is inf where they do not hold. ``res.constr`` are their values at ``res.x``, ``res.maxcv`` the
    largest violation. The default method is COBYQA; derivatives and residuals are not used.

    **Threads.** A run limits torch and BLAS to one thread, unless x holds the weights of a network that does not
    render: points are small, and threads that wait for each other make a run slower. `fun` and the callback have the
    number of threads of the program before the run, unless the problem renders; after the run this number is restored.
    Workers have one thread each.

    **Workers.** Random numbers are drawn in this process. Points are shared out in chunks that do not depend on the
    number of workers, so results are the same bits for every number if the arithmetic of `fun` does not depend on its
    number of threads; but the default `Portfolio`, unless the problem renders, gets ``batch=k`` for k workers. The
    problem is sent by cloudpickle: lambdas, closures, and objects that a script, a notebook or ``python -c`` defines
    are copied, together with the globals they use, at the start of the run; they change only the copy, also in a map
    or in threads of this process. A script needs no ``if __name__ == "__main__"`` and is not run again. A worker that
    dies is replaced and its points are evaluated again; if the second worker dies at the same points, the evaluation
    has failed. If a GPU renders, one process uses it: a number is reduced to 1. In processes started here stdin is
    empty, and their output goes to stderr.

    Workers of an executor or a map belong to the caller: they keep the last objective open until they end or open
    another. On other machines ``maxtime`` cannot cancel queued evaluations. A map is waited for until it returns.

    **Turns.** Threads take turns with the renderer: a run whose problem renders in this process waits until the run of
    another thread has ended, because Mitsuba supports one at a time. A run within a callback uses its run's turn.

    Examples
    --------
    >>> import invopt
    >>> res = invopt.minimize(lambda x: (x[0] - 1) ** 2 + x[1] ** 2, x0=[3.0, 2.0], rng=0, maxfev=600)
    >>> bool(abs(res.x[0] - 1) < 1e-2)
    True
    """
    options_given = Options(
        **by_position(problem, parts, {"estimator": estimator, "method": method, "x0": x0, "args": args}),
        jac=jac,
        hess=hess,
        hessp=hessp,
        bounds=bounds,
        constraints=constraints,
        x_scale=x_scale,
        prior=prior,
        rng=rng,
        maxiter=maxiter,
        maxfev=maxfev,
        maxtime=maxtime,
        tol=tol,
        gtol=gtol,
        xtol=xtol,
        ftol=ftol,
        max_nonfinite=max_nonfinite,
        failures=failures,
        timeout=timeout,
        callback=callback,
        options=options,
        workers=workers,
        progress=progress,
        journal=journal,
        checkpoint=checkpoint,
        identity=identity,
    )
    return minimize_with(problem, options_given)


def minimize_with(problem: Any, options: Options) -> OptimizeResult:
    """Minimise a problem as `options` say: open its objective, run the loop, close it.

    Parameters
    ----------
    problem : Problem, str or callable
        As in `minimize`.
    options : Options
        All other arguments of `minimize`.

    Returns
    -------
    OptimizeResult
    """
    run = prepare(problem, options)
    with run.open() as objective:
        return run_loop(run, objective)


def minimize_on(
    objective: Objective, problem: Any, estimator: Any = None, method: Any = None, **options: Any
) -> OptimizeResult:
    """Minimise on an objective that is already open, and leave it open.

    Parameters
    ----------
    objective : Objective
        The open objective of the problem.
    problem, estimator, method, **options
        As in `minimize`; `workers` have no effect here.

    Returns
    -------
    OptimizeResult
    """
    run = prepare(problem, Options(estimator=estimator, method=method, **options))
    if isinstance(run.problem, Posterior):
        objective = run.problem.around(objective)
    elif isinstance(problem, Problem) and run.problem is not problem:
        raise IncompatibleError("'x0' changes the problem: open it as started(x0) returns it, and minimise on that")
    return run_loop(run, objective)
