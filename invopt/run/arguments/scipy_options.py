"""Apply scipy's `options` and `tol` to the run or to scipy's own method.

Both are as in `scipy.optimize.minimize`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import attrs
import numpy as np

from invopt.core.formatting import shown
from invopt.core.registry import find, resolve
from invopt.core.validators import as_real, require
from invopt.exceptions import UnknownNameError, suggest
from invopt.run.arguments.options import Options
from invopt.run.stopping import Tolerances

__all__ = ["Settled", "settle"]

# Arguments of a run by the names of scipy's options.
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
# Options that apply to the run for every method.
_ALWAYS = {"maxfev", "maxfun", "maxtime", "disp"}
# Options of scipy's that are set in another place here.
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
# Default tolerances, as `minimize` documents them, in units of `x_scale`; scipy's defaults are of the same order.
_DEFAULTS = {"gtol": 1e-6, "xtol": 1e-8, "ftol": 0.0}


class Settled(NamedTuple):
    """Options and tolerances of a run, after `tol` and `options` have been applied.

    Attributes
    ----------
    options : Options
        Its method is an object or None.
    tolerances : Tolerances
    limits_itself : bool
        Whether the method limits its own iterations.
    """

    options: Options
    tolerances: Tolerances
    limits_itself: bool


def settle(options: Options) -> Settled:
    """Apply `tol` and `options` to the run, or to the method if it is scipy's own."""
    made = None if options.method is None else resolve("optimizers", options.method, "method")
    wanted = _as_mapping(options.options)
    if isinstance(made, find("optimizers", "scipy")):
        return _of_scipy(made, wanted, options)
    for key in wanted:
        if key not in _OF_A_RUN:
            raise UnknownNameError(f"'options' has {shown(key)}, which is not an option of a run: {_alternative(key)}")
    of_tol = {} if options.tol is None else {"gtol": options.tol, "xtol": options.tol}
    return _settled(options, made, wanted, _DEFAULTS | of_tol, limits_itself=False)


def _of_scipy(method: Any, wanted: dict[str, Any], options: Options) -> Settled:
    """Pass `options` to scipy's method; they only tighten the tolerances of the run."""
    of_run = {key: wanted.pop(key) for key in _ALWAYS & wanted.keys()}
    for key in wanted.keys() & method.options.keys():
        raise TypeError(f"{shown(key)} is given twice, in 'options' and in those of {shown(method)}")
    changes: dict[str, Any] = {"options": {**method.options, **wanted}} if wanted else {}
    limits = [_tolerance(wanted[key], key) for key in ("gtol", "xtol", "xatol") if key in wanted]
    if options.tol is not None:
        limits.append(options.tol)
        changes |= {"tol": options.tol} if method.tol is None else {}
    # scipy compares a tolerance with its iterations, and a run visits every point in between.
    tightened = {name: min([value, *limits]) for name, value in _DEFAULTS.items()}
    # A limit of scipy's own iterations, which are fewer than the points that a run visits, stands for ours.
    return _settled(options, attrs.evolve(method, **changes), of_run, tightened, limits_itself="maxiter" in wanted)


def _settled(
    options: Options, method: Any, wanted: Mapping[str, Any], defaults: Mapping[str, float], *, limits_itself: bool
) -> Settled:
    """Set the method, the `options` of the run, and its tolerances.

    Tolerances are by default `defaults`.
    """
    found: dict[str, Any] = {}
    for key, value in wanted.items():
        name = _OF_A_RUN[key]
        if getattr(options, name) is not None or found.get(name) is not None:
            raise TypeError(f"'{name}' is given twice, by name and in 'options' as {shown(key)}")
        if key == "disp" and not isinstance(value, bool | int | np.bool_ | np.integer | None):
            raise TypeError(f"'disp' in 'options' must be a bool or an integer: {shown(value)}")
        found[name] = bool(value) if key == "disp" else value
    changed = attrs.evolve(options, method=method, **found)
    given = {name: getattr(changed, name) for name in defaults}
    tolerances = {name: default if given[name] is None else given[name] for name, default in defaults.items()}
    return Settled(changed, Tolerances(**tolerances), limits_itself)


def _as_mapping(options: Any) -> dict[str, Any]:
    if options is None:
        return {}
    if not isinstance(options, Mapping) or not all(isinstance(key, str) for key in options):
        raise TypeError(f"'options' must map names to values, as in scipy: {shown(options)}")
    return dict(options)


def _tolerance(value: Any, name: str) -> float:
    tolerance = as_real(name, value)
    require(name, 0 <= tolerance < np.inf, ">= 0 and finite", value)
    return tolerance


def _alternative(key: str) -> str:
    """Return what to write in place of an option that a run does not have."""
    if key in _ELSEWHERE:
        return _ELSEWHERE[key]
    if key in attrs.fields_dict(Options):
        return f"it is an argument of its own, {key}=..."
    return (
        f"{suggest(key, _OF_A_RUN)}; options of a method are its fields, and those of a method of scipy go with its "
        f"name: method='nelder-mead'"
    )
