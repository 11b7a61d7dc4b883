"""`options` and `tol` of `scipy.optimize.minimize`: to the run, or to the method that is scipy's own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import attrs
import numpy as np

from invopt.core.formatting import shown
from invopt.core.registry import find, resolve
from invopt.core.validators import as_real, require
from invopt.exceptions import UnknownNameError, suggest

__all__ = ["settled"]

# What of a run scipy's options speak of, by their names.
_OF_A_RUN = {
    "maxiter": "maxiter",
    "maxfev": "maxfev",
    "maxfun": "maxfev",
    "maxtime": "maxtime",
    "gtol": "gtol",
    "xtol": "xtol",
    "ftol": "ftol",
    "disp": "progress",
}
# Those that hold for the run whatever the method.
_ALWAYS = {"maxfev", "maxfun", "maxtime", "disp"}
_ELSEWHERE = {
    "eps": "a step of differences is the estimator's: FiniteDifference(abs_step=...)",
    "finite_diff_rel_step": "a step of differences is the estimator's: FiniteDifference(rel_step=...)",
    "return_all": "every point is in the result: `res.history.x`",
    "xatol": "'xtol' is the tolerance of steps, in units of x_scale",
    "fatol": "'ftol' is the tolerance of values, relative to them",
    "iprint": "'progress' shows the run",
    "maxcor": "it is a field of the method: optimizers.LBFGS(maxcor=...)",
    "maxls": "it is a field of the line search: optimizers.BFGS(line_search=optimizers.ArmijoWolfe(maxls=...))",
    "c1": "it is a field of the line search: optimizers.BFGS(line_search=optimizers.ArmijoWolfe(c1=...))",
    "c2": "it is a field of the line search: optimizers.BFGS(line_search=optimizers.ArmijoWolfe(c2=...))",
    "initial_trust_radius": "it is a field of the method: optimizers.Newton(trust_radius=...)",
    "max_trust_radius": "it is a field of the method: optimizers.Newton(max_trust_radius=...)",
}
_DEFAULTS = {"gtol": 1e-6, "xtol": 1e-8, "ftol": 0.0}


def settled(
    method: Any, *, tol: Any, options: Any, arguments: Collection[str], **run: Any
) -> tuple[Any, dict[str, Any]]:
    """The method, and the settings of the run, once `tol` and `options` have been given to each.

    Parameters
    ----------
    method : object
        As given to `minimize`.
    tol, options
        As in `minimize`.
    arguments : collection of str
        Names of the arguments of `minimize`.
    **run
        Settings of the run as given by name: None where they are not.

    Returns
    -------
    method : Optimizer or None
    run : dict
        With one more setting, `limited`: whether the method limits its iterations itself.
    """
    made = None if method is None else resolve("optimizers", method, "method")
    wanted = _as_options(options)
    run["limited"] = False
    if isinstance(made, find("optimizers", "scipy")):
        return _of_scipy(made, tol, wanted, run)
    for key, value in wanted.items():
        if key not in _OF_A_RUN:
            raise UnknownNameError(f"'options' has {shown(key)}, which is no option of a run: {_way(key, arguments)}")
        _give(run, key, value)
    if tol is not None:
        tolerance = _tolerance(tol)
        run |= {name: tolerance for name in ("gtol", "xtol") if run[name] is None}
    return made, run | {name: value for name, value in _DEFAULTS.items() if run[name] is None}


def _of_scipy(method: Any, tol: Any, options: dict[str, Any], run: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Options go to scipy's method, whose steps they speak of; tolerances of the run are no looser than by default."""
    for key in _ALWAYS & options.keys():
        _give(run, key, options.pop(key))
    for key in options.keys() & method.options.keys():
        raise TypeError(f"{shown(key)} is given twice, in 'options' and in those of {shown(method)}")
    # A limit of scipy's own iterations, which are fewer than the points that a run visits, stands for ours.
    run["limited"] = "maxiter" in options
    changes: dict[str, Any] = {"options": {**method.options, **options}} if options else {}
    limits = [_tolerance(options[key], key) for key in ("gtol", "xtol", "xatol") if key in options]
    if tol is not None:
        limits.append(_tolerance(tol))
        changes |= {"tol": limits[-1]} if method.tol is None else {}
    for name, value in _DEFAULTS.items():
        if run[name] is None:
            # What scipy compares with a tolerance are its iterations, and a run visits every point in between.
            run[name] = min([value, *limits])
    return attrs.evolve(method, **changes), run


def _give(run: dict[str, Any], key: str, value: Any) -> None:
    name = _OF_A_RUN[key]
    if run[name] is not None:
        raise TypeError(f"'{name}' is given twice, by name and in 'options' as {shown(key)}")
    if key == "disp" and not isinstance(value, bool | int | np.bool_ | np.integer | None):
        raise TypeError(f"'disp' in 'options' must be a bool or an integer: {shown(value)}")
    run[name] = bool(value) if key == "disp" else value


def _as_options(options: Any) -> dict[str, Any]:
    if options is None:
        return {}
    if not isinstance(options, Mapping) or not all(isinstance(key, str) for key in options):
        raise TypeError(f"'options' must map names to values, as in scipy: {shown(options)}")
    return dict(options)


def _tolerance(value: Any, name: str = "tol") -> float:
    tolerance = as_real(name, value)
    require(name, 0 <= tolerance < np.inf, ">= 0 and finite", value)
    return tolerance


def _way(key: str, arguments: Collection[str]) -> str:
    if key in _ELSEWHERE:
        return _ELSEWHERE[key]
    if key in arguments:
        return f"it is an argument of its own, {key}=..."
    return (
        f"{suggest(key, _OF_A_RUN)}; options of a method are its fields, and those of a method of scipy go with its "
        f"name: method='nelder-mead'"
    )
