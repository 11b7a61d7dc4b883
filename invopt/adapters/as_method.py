"""Use estimators and methods through `scipy.optimize.minimize`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from invopt.core.result import OptimizeResult
from invopt.run.arguments.options import Options
from invopt.run.minimize import minimize_with

__all__ = ["as_method"]

_ARGUMENTS = frozenset(attrs.fields_dict(Options))


def as_method(estimator: Any = None, method: Any = None, **options: Any) -> Callable[..., OptimizeResult]:
    """Return a custom method for ``scipy.optimize.minimize(f, x0, method=...)``.

    Parameters
    ----------
    estimator, method
        As in `invopt.minimize`.
    **options
        Further arguments of `invopt.minimize` (`rng`, `maxfev`, `x_scale`, ...). The ``options`` given to scipy are
        added to these; ``disp`` stands for `progress`, and scipy's ``tol`` for both `gtol` and `xtol`.

    Returns
    -------
    callable
        Takes scipy's objective, start, bounds, callback, and a `jac` and `hess` that are callable; by default
        `ExactDerivative` uses these. A `hessp` and constraints are refused.

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
        callback: Any = None,
        tol: float | None = None,
        **scipys: Any,
    ) -> OptimizeResult:
        ours = options | {name: scipys.pop(name) for name in _ARGUMENTS & scipys.keys()}
        if "disp" not in scipys:
            ours.setdefault("progress", False)
        # The rest are entries of scipy's `options`, which scipy passes by name.
        given = Options(
            estimator=estimator,
            method=method,
            x0=x0,
            args=args,
            callback=callback,
            tol=tol,
            options=scipys,
            **ours,
        )
        return minimize_with(fun, given)

    return custom
