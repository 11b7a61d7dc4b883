"""Our estimators and methods behind `scipy.optimize.minimize`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from invopt._minimize import minimize
from invopt._result import OptimizeResult
from invopt.exceptions import IncompatibleError

__all__ = ["as_method"]


def as_method(estimator: Any = None, method: Any = None, **options: Any) -> Callable[..., OptimizeResult]:
    """Return a custom method for ``scipy.optimize.minimize(f, x0, method=...)``.

    Parameters
    ----------
    estimator, method
        As in `invopt.minimize`.
    **options
        Further arguments of `invopt.minimize` (`rng`, `maxfev`, `x_scale`, ...); the ``options`` given to scipy
        are added to these; its ``disp`` stands for `progress`, and scipy's ``tol`` for both `gtol` and `xtol`.

    Returns
    -------
    callable
        Takes scipy's objective, start, bounds and callback. A `jac` or `hess` given to scipy is not used, and
        constraints are refused.

    Examples
    --------
    >>> import scipy.optimize
    >>> from invopt import as_method, estimators, optimizers
    >>> method = as_method(estimators.FiniteDifference(), optimizers.BFGS())
    >>> bool(scipy.optimize.minimize(lambda x: (x[0] - 1) ** 2, [0.0], method=method).success)
    True
    """

    def custom(
        fun: Callable[..., Any],
        x0: Any,
        args: tuple[Any, ...] = (),
        *,
        jac: Any = None,
        hess: Any = None,
        hessp: Any = None,
        bounds: Any = None,
        constraints: Any = (),
        callback: Any = None,
        tol: float | None = None,
        **scipy_options: Any,
    ) -> OptimizeResult:
        if np.size(constraints) > 0:
            raise IncompatibleError("constraints other than bounds are not supported")
        if "disp" in scipy_options:
            scipy_options["progress"] = bool(scipy_options.pop("disp"))
        if tol is not None:
            scipy_options = {"gtol": tol, "xtol": tol} | scipy_options
        # With jac=True scipy's objective returns (f, gradient); the gradient is not wanted here.
        objective: Any = _Objective(fun, args, jac is True)
        return minimize(
            objective,
            estimator,
            method,
            x0=x0,
            bounds=bounds,
            callback=_our_callback(callback),
            **({"progress": False} | options | scipy_options),
        )

    return custom


class _Objective(NamedTuple):
    """Scipy's objective as ours; not a closure, so that it can be sent to workers."""

    fun: Callable[..., Any]
    args: tuple[Any, ...]
    with_gradient: bool

    def __call__(self, x: NDArray[np.float64]) -> Any:
        value = self.fun(x, *self.args)
        return value[0] if self.with_gradient else value


def _our_callback(callback: Any) -> Callable[..., object] | None:
    """Scipy's two kinds of callback, told apart as scipy does: by the name of the only parameter."""
    if callback is None:
        return None
    if set(inspect.signature(callback).parameters) == {"intermediate_result"}:
        return lambda *, intermediate_result: callback(intermediate_result=intermediate_result)
    return lambda *, intermediate_result: callback(intermediate_result.x)
