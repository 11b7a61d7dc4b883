"""Derivatives of a black box at one point, with error bars, outside of any minimisation."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import ArrayLike, NDArray

from invopt.core.estimator import Order
from invopt.core.machine.clock import Clock
from invopt.core.validators import as_vector
from invopt.evaluate.failures import Failures
from invopt.run.arguments import listed, resolve_problem
from invopt.run.loop import open_evaluator
from invopt.run.prepare import prepare
from invopt.run.reporting import as_array

__all__ = ["Derivatives", "differentiate"]


@frozen(kw_only=True, eq=False)
class Derivatives:
    """What an estimator says at one point, in the problem's own units.

    Attributes
    ----------
    x : ndarray, shape (n,)
        Where.
    fun, fun_standard_error : float
        Value, smoothed where the estimator smooths, and its standard error.
    jac, standard_error : ndarray, shape (n,), or None
        Gradient and the standard error of each component.
    hess, hess_standard_error : ndarray, shape (n, n), or None
        Hessian likewise, where the estimator has one.
    hessp, hessp_standard_error : ndarray, shape (n,), or None
        Hessian times the `p` asked for.
    nfev : int
        Evaluations spent.
    """

    x: NDArray[np.float64]
    fun: float
    fun_standard_error: float
    jac: NDArray[np.float64] | None
    standard_error: NDArray[np.float64] | None
    hess: NDArray[np.float64] | None
    hess_standard_error: NDArray[np.float64] | None
    hessp: NDArray[np.float64] | None
    hessp_standard_error: NDArray[np.float64] | None
    nfev: int


def differentiate(
    problem: Any,
    estimator: Any = None,
    x: ArrayLike | None = None,
    *,
    p: ArrayLike | None = None,
    bounds: Any = None,
    x_scale: ArrayLike | None = None,
    rng: Any = None,
    max_nonfinite: float = 0.5,
    failures: Failures = "raise",
    timeout: float | None = None,
    workers: Any = None,
) -> Derivatives:
    """Derivatives of a black box at `x`, each with its standard error.

    Parameters
    ----------
    problem : Problem, str or callable
        As in `minimize`.
    estimator : Estimator or str, optional
        By default what the problem names itself, else `SharedSamples`.
    x : array_like, shape (n,), optional
        Where; by default the problem's start.
    p : array_like, shape (n,), optional
        A vector to multiply the Hessian with.
    bounds, x_scale, rng, max_nonfinite, failures, timeout, workers
        As in `minimize`.

    Returns
    -------
    Derivatives

    Examples
    --------
    >>> import invopt
    >>> found = invopt.differentiate(lambda x: x[0] ** 2, invopt.estimators.FiniteDifference(), [3.0])
    >>> round(float(found.jac[0]), 6), round(float(found.hess[0, 0]), 3)
    (6.0, 2.0)
    """
    bounds = listed(bounds)
    described = resolve_problem(problem, x, bounds, x_scale)
    # One point leaves an estimator that remembers with nothing to remember.
    default = described.default_estimator or "shared-samples"
    run = prepare(
        described,
        default if estimator is None else estimator,
        None,
        x0=x,
        bounds=bounds,
        x_scale=x_scale,
        rng=rng,
        max_nonfinite=max_nonfinite,
        failures=failures,
        timeout=timeout,
        workers=workers,
        progress=False,
    )
    scale, provides = run.x_scale, run.estimator.provided(run.problem)
    vector = None if p is None else run.problem.as_tensor(as_vector("p", p, size=run.problem.n) / scale)
    if vector is not None and Order.HESSP not in provides:
        raise TypeError(f"{type(run.estimator).__name__} provides no Hessian-vector products")
    with run.open() as objective:
        evaluator = open_evaluator(run, objective, Clock())
        point = run.problem.as_tensor(run.x0 / scale)
        estimate, _ = run.estimator.estimate(evaluator, point, run.estimator.init(run.problem), run.rng)
        product = None if vector is None else estimate.measure_hessp(vector)
        square = np.outer(scale, scale) if Order.HESS in provides else None
        return Derivatives(
            x=run.x0,
            fun=estimate.fun,
            fun_standard_error=estimate.fun_standard_error,
            jac=None if estimate.jac is None else as_array(estimate.jac) / scale,
            standard_error=None if estimate.standard_error is None else as_array(estimate.standard_error) / scale,
            hess=as_array(estimate.hess) / square if square is not None else None,
            hess_standard_error=as_array(estimate.hess_standard_error) / square if square is not None else None,
            hessp=None if product is None else as_array(product.value) / scale,
            hessp_standard_error=None if product is None else as_array(product.standard_error) / scale,
            nfev=evaluator.nfev,
        )
