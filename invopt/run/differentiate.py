"""Derivatives of a black box at one point, without a minimisation.

They come with standard errors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import evolve, frozen
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from invopt.core.estimator import Order
from invopt.core.machine.clock import Clock
from invopt.core.validators import as_vector
from invopt.evaluate.evaluator import CountingEvaluator
from invopt.evaluate.failures import Failures
from invopt.run.arguments.options import Options
from invopt.run.arguments.problem import resolve_problem
from invopt.run.loop import open_evaluator
from invopt.run.prepare import prepare
from invopt.run.reporting import as_array
from invopt.run.run import Run

__all__ = ["Derivatives", "differentiate"]


@frozen(kw_only=True, eq=False)
class Derivatives:
    """Estimated derivatives at one point, in the problem's units.

    Attributes
    ----------
    x : ndarray, shape (n,)
        The point.
    fun, fun_standard_error : float
        Value, smoothed if the estimator smooths, and its standard error.
    jac, standard_error : ndarray, shape (n,), or None
        Gradient and the standard error of each component.
    hess, hess_standard_error : ndarray, shape (n, n), or None
        Hessian and its standard errors, if the estimator provides one.
    hessp, hessp_standard_error : ndarray, shape (n,), or None
        Hessian times `p`, if `p` was given.
    nfev : int
        Number of evaluations.
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
    """Estimate derivatives of a black box at `x`, each with its standard error.

    Parameters
    ----------
    problem : Problem, str or callable
        As in `minimize`.
    estimator : Estimator or str, optional
        By default the problem's default estimator, or else `SharedSamples`.
    x : array_like, shape (n,), optional
        The point; by default the problem's start.
    p : array_like, shape (n,), optional
        Vector to multiply the Hessian with.
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
    options = Options(
        estimator=estimator,
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
    described = resolve_problem(problem, options)
    if estimator is None:
        # At one point, an estimator that remembers earlier ones has none.
        options = evolve(options, estimator=described.default_estimator or "shared-samples")
    run = prepare(described, options)
    vector = None if p is None else described.as_tensor(as_vector("p", p, size=described.n) / run.x_scale)
    if vector is not None and Order.HESSP not in run.estimator.provided(described):
        raise TypeError(f"{type(run.estimator).__name__} provides no Hessian-vector products")
    with run.open() as objective:
        return _at_start(run, open_evaluator(run, objective, Clock()), vector)


def _at_start(run: Run, evaluator: CountingEvaluator, p: Tensor | None) -> Derivatives:
    """Derivatives at the start of a run, and the Hessian times `p`.

    Both are in the problem's own units.
    """
    scale = run.x_scale
    point = run.problem.as_tensor(run.x0 / scale)
    estimate, _ = run.estimator.estimate(evaluator, point, run.estimator.init(run.problem), run.rng)
    product = None if p is None else estimate.measure_hessp(p)
    curved = Order.HESS in run.estimator.provided(run.problem)

    def unscaled(derivative: Tensor | None, unit: NDArray[np.float64] = scale) -> NDArray[np.float64] | None:
        return None if derivative is None else np.asarray(as_array(derivative) / unit)

    return Derivatives(
        x=run.x0,
        fun=estimate.fun,
        fun_standard_error=estimate.fun_standard_error,
        jac=unscaled(estimate.jac),
        standard_error=unscaled(estimate.standard_error),
        hess=unscaled(estimate.hess, np.outer(scale, scale)) if curved else None,
        hess_standard_error=unscaled(estimate.hess_standard_error, np.outer(scale, scale)) if curved else None,
        hessp=None if product is None else unscaled(product.value),
        hessp_standard_error=None if product is None else unscaled(product.standard_error),
        nfev=evaluator.nfev,
    )
