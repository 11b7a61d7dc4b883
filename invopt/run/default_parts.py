"""Choose default estimators and methods for a problem."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from invopt.core.estimator import Estimator, Order
from invopt.core.evaluator import SHADING_COST
from invopt.core.objective import Capability
from invopt.core.optimizer import Optimizer
from invopt.core.problem import Problem
from invopt.core.registry import find, kebab, resolve
from invopt.core.schedules import Linear

__all__ = ["Choice", "choose"]

# Most parameters for Kriging, whose first estimate takes n + 1 evaluations and whose own time grows as n**3; where each
# residual depends on few parameters, SparseGaussNewton needs fewer evaluations from some 20 on.
_MOST_FOR_KRIGING, _MOST_IF_SPARSE = 200, 20
# Most parameters for ValueKriging, of problems that render: with more, its samples are too few for its kernel.
_MOST_FOR_VALUE_KRIGING = 3
# Most columns that shade for a model of all columns: it needs one evaluation for each, and their elimination two for
# every point.
_MOST_SHADING_TOGETHER = 10
# Share of the budget that its first estimate may take.
_SHARE_FOR_FIRST = 0.5
# Most parameters for BFGS: its matrix of n x n is updated every iteration; L-BFGS needs none.
_MOST_FOR_BFGS = 200
# Most parameters for COBYQA, whose quadratic models take a time that grows as n**3, and some 2 n values to begin with.
_MOST_FOR_COBYQA = 50
# Largest trust radius of Newton's method on exact derivatives, in units of `x_scale`: in practice no limit, because the
# radius follows the run.
_LARGEST_TRUST_RADIUS = 1e6
# Estimator of functions that have their own derivatives.
_EXACT = "exact-derivative"
# Largest sigma as a share of the shortest period: at a quarter, two sigma to either side span the period.
_LARGEST_SHARE_OF_PERIOD = 0.25

# Settings of the method for an estimator, in units of sigma. The linear model of many parameters has no limit.
_OPTIONS = {
    "sparse-gauss-newton": {"trust_radius": 1e3, "forcing": 1e-3},
}


class Choice(NamedTuple):
    """Estimator, method, and a sentence on why they were chosen.

    The sentence is empty if the user gave both.
    """

    estimator: Estimator
    method: Optimizer
    why: str


def choose(
    problem: Problem,
    estimator: Any,
    method: Any,
    maxfev: float = math.inf,
    x_scale: NDArray[np.float64] | None = None,
    n: int | None = None,
    batch: int = 1,
) -> Choice:
    """Resolve names and presets, and choose the parts that were left out.

    Parameters
    ----------
    problem : Problem
        What is minimised.
    estimator, method : object
        As given to `minimize`.
    maxfev : float, default inf
        Budget of evaluations.
    x_scale : ndarray, shape (n,), optional
        Scales of the run; by default the problem's own.
    n : int, optional
        Number of parameters that are not fixed by their bounds; by default all.
    batch : int, default 1
        Evaluations at once, the number of workers.
    """
    asked = None if method is None else resolve("optimizers", method, "method")
    if asked is None and problem.constraints is not None:
        asked = _for_constraints(problem.n if n is None else n)
    if isinstance(estimator, str) and estimator.lower() == "paper":
        return _paper(asked)
    scale = problem.x_scale if x_scale is None else x_scale
    if estimator is not None and not (isinstance(estimator, str) and estimator.lower() == "auto"):
        chosen = resolve("estimators", estimator, "estimator")
        return Choice(chosen, _method_for(problem, chosen, scale, batch) if asked is None else asked, "")
    separates = _separates(problem) if asked is None else asked.eliminates
    if separates:
        moving = int((~problem.shades).sum())
        chosen, why = _estimator_for(problem, maxfev / SHADING_COST, max(moving, 1))
        shading = (
            f"{problem.n - moving} of {problem.n} columns only shade, and are solved for at each point of the others"
        )
        asked = find("optimizers", "separable")() if asked is None else asked
        return Choice(chosen, asked, f"{type(chosen).__name__} with {type(asked).__name__}: {shading}; {why}")
    chosen, why = _estimator_for(problem, maxfev, problem.n if n is None else max(n, 1))
    if asked is not None and asked.requires == Order.FUN:
        chosen, why = find("estimators", "function-value")(), "the method uses values only"
        if method is None:
            why = "for constraints"
    elif asked is not None and asked.requires & ~chosen.provided(problem):
        unused = "; 'jac' is not used: give 'hess' too" if kebab(type(chosen).__name__) == _EXACT else ""
        chosen, why = find("estimators", "shared-samples")(), f"it provides what the method requires{unused}"
    made = _method_for(problem, chosen, scale, batch) if asked is None else asked
    return Choice(chosen, made, f"{type(chosen).__name__} with {type(made).__name__}: {why}")


def _separates(problem: Problem) -> bool:
    """Whether what shades is eliminated: some parameters move, and many shade."""
    if Capability.SHADING not in problem.provides:
        return False
    shades = problem.shades
    return bool(int(shades.sum()) > _MOST_SHADING_TOGETHER and not shades.all())


def _paper(asked: Optimizer | None) -> Choice:
    """The paper's AggregateHVP with Fletcher-Reeves CG, with its authors' settings."""
    estimator = find("estimators", "aggregate-hvp")(sigma=Linear(), n_samples=2, seeds="fixed")
    method = find("optimizers", "fletcher-reeves-cg")(nonpositive_curvature="unit") if asked is None else asked
    return Choice(estimator, method, "the paper's estimator with its authors' settings")


def _estimator_for(problem: Problem, maxfev: float, n: int) -> tuple[Estimator, str]:
    if problem.default_estimator is not None:
        exact = problem.default_estimator == _EXACT
        why = (
            "the problem's own derivatives are given" if exact else f"{type(problem).__name__} names it as its default"
        )
        return find("estimators", problem.default_estimator)(), why
    if n > _MOST_SHADING_TOGETHER and Capability.SHADING in problem.provides and problem.shades.all():
        return find("estimators", "sparse-gauss-newton")(), f"all {n} columns only shade"
    if Capability.RESIDUALS in problem.provides:
        most = _MOST_IF_SPARSE if problem.sparse else _MOST_FOR_KRIGING
        if n <= most and n + 1 <= _SHARE_FOR_FIRST * maxfev:
            return find("estimators", "kriging")(), f"residuals are known, and n = {n} is at most {most}"
        if problem.sparse:
            return find("estimators", "sparse-gauss-newton")(), "each of many parameters changes few residuals"
    if problem.renders and n <= _MOST_FOR_VALUE_KRIGING and n + 1 <= _SHARE_FOR_FIRST * maxfev:
        return find("estimators", "value-kriging")(), f"values of renders only, and n = {n}"
    known = Capability.RESIDUALS in problem.provides
    why = f"n = {n} is too large for a model of the residuals" if known else "values only"
    return find("estimators", "function-value")(), why


def _step_length(problem: Problem, x_scale: NDArray[np.float64]) -> float:
    """First step by values: the problem's sigma, unless that spans a whole period."""
    shortest = float(np.min(problem.periods / x_scale, initial=math.inf))
    return min(problem.sigma, _LARGEST_SHARE_OF_PERIOD * shortest)


def _method_for(problem: Problem, estimator: Estimator, x_scale: NDArray[np.float64], batch: int) -> Optimizer:
    provides = estimator.provided(problem)
    if problem.default_method is not None:
        own: Optimizer = resolve("optimizers", problem.default_method, "method")
        if not own.requires & ~provides:
            return own
    if kebab(type(estimator).__name__) == _EXACT:
        return _for_exact(problem.n, Order.HESS in provides)
    if Order.MODEL in provides:
        name = "least-surprise"
    elif Order.VALUE_MODEL in provides:
        name = "lower-bound"
    elif not estimator.unbiased and Order.HESS in provides:
        name = "newton"
    elif Order.HESSP in provides:
        name = "newton-cg"
    elif Order.JAC in provides:
        name = "adam"
    else:
        chosen: Optimizer = find("optimizers", "portfolio")(step_length=_step_length(problem, x_scale), batch=batch)
        return chosen
    made: Optimizer = find("optimizers", name)(**_OPTIONS.get(kebab(type(estimator).__name__), {}))
    return made


def _for_constraints(n: int) -> Optimizer:
    """A method of scipy's on values and constraints."""
    scipy = find("optimizers", "scipy")
    made: Optimizer = scipy("cobyqa") if n <= _MOST_FOR_COBYQA else scipy("slsqp", differences=True)
    return made


def _for_exact(n: int, curved: bool) -> Optimizer:
    """Methods that compare values, which is possible because they are exact."""
    made: Optimizer
    if curved:
        made = find("optimizers", "newton")(max_trust_radius=_LARGEST_TRUST_RADIUS)
    else:
        made = find("optimizers", "bfgs" if n <= _MOST_FOR_BFGS else "lbfgs")()
    return made
