"""Which estimator and method serve a problem where none is asked for, and why."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from invopt.core.adaptive_sigma import AdaptiveSigma
from invopt.core.estimator import Estimator, Order
from invopt.core.objective import Capability
from invopt.core.optimizer import Optimizer
from invopt.core.problem import Problem
from invopt.core.registry import find, kebab, resolve
from invopt.core.schedules import Linear

__all__ = ["Choice", "choose"]

# Above these, samples are too few for the model that each fits.
_MOST_FOR_GAUSS_NEWTON = 20
_MOST_FOR_HISTORY = 6
# Above this a matrix of n x n, updated every iteration, costs more than it is worth.
_MOST_FOR_BFGS = 200
# Longest step of Newton's method on exact derivatives, whose radius follows the run: no limit in practice.
_LONGEST_STEP = 1e6
# Estimator of what has derivatives of its own.
_EXACT = "exact-derivative"
# Iterations that a budget should hold; share of a period that a kernel may be wide, and still tell its halves apart.
_ITERATIONS, _OF_A_PERIOD = 10, 0.25

# Settings of the method that suit an estimator. Samples of the last iterations tell of what lies beyond one width;
# steps in the thousands of parameters of a linear model are as long as they have to be.
_OPTIONS = {
    "gauss-newton": {"trust_radius": 1.25},
    "sparse-gauss-newton": {"trust_radius": 1e3, "forcing": 1e-3},
}


class Choice(NamedTuple):
    """Parts, and a sentence on why these; empty where both were asked for."""

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
) -> Choice:
    """Resolve names and presets, and fill in what was left out, for a budget of `maxfev` evaluations.

    `x_scale` is that of the run, by default the problem's own; `n` the number of parameters that are not held.
    """
    asked = None if method is None else resolve("optimizers", method, "method")
    if isinstance(estimator, str) and estimator.lower() == "paper":
        return _paper(asked)
    if estimator is not None and not (isinstance(estimator, str) and estimator.lower() == "auto"):
        chosen = resolve("estimators", estimator, "estimator")
        return Choice(chosen, _method_for(problem, chosen) if asked is None else asked, "")
    scale = problem.x_scale if x_scale is None else x_scale
    chosen, why = _estimator_for(problem, maxfev, scale, problem.n if n is None else max(n, 1))
    if asked is not None and asked.requires == Order.FUN:
        chosen, why = find("estimators", "function-value")(), "the method uses values only"
    elif asked is not None and asked.requires & ~chosen.provided(problem):
        unused = "; 'jac' is not used: give 'hess' too" if kebab(type(chosen).__name__) == _EXACT else ""
        chosen, why = find("estimators", "shared-samples")(), f"it provides what the method requires{unused}"
    made = _method_for(problem, chosen) if asked is None else asked
    return Choice(chosen, made, f"{type(chosen).__name__} with {type(made).__name__}: {why}")


def _paper(asked: Optimizer | None) -> Choice:
    """The paper's AggregateHVP with Fletcher-Reeves CG, at its authors' settings."""
    estimator = find("estimators", "aggregate-hvp")(sigma=Linear(), n_samples=2, seeds="fixed")
    method = find("optimizers", "fletcher-reeves-cg")(nonpositive_curvature="unit") if asked is None else asked
    return Choice(estimator, method, "the paper's estimator at its authors' settings")


def _estimator_for(problem: Problem, maxfev: float, x_scale: NDArray[np.float64], n: int) -> tuple[Estimator, str]:
    if problem.default_estimator is not None:
        exact = problem.default_estimator == _EXACT
        why = (
            "the problem's own derivatives are given" if exact else f"{type(problem).__name__} names it as its default"
        )
        return find("estimators", problem.default_estimator)(), why
    width = _width(problem, x_scale)
    if Capability.RESIDUALS in problem.provides and n <= _MOST_FOR_GAUSS_NEWTON:
        why = f"residuals are known, and n = {n} is at most {_MOST_FOR_GAUSS_NEWTON}"
        return _within(find("estimators", "gauss-newton")(**width), n, maxfev, why)
    if Capability.RESIDUALS in problem.provides and problem.sparse:
        return find("estimators", "sparse-gauss-newton")(), "each of many parameters shows in few residuals"
    if n <= _MOST_FOR_HISTORY:
        why = f"values only, and n = {n} is small enough for a quadratic through the samples of the last iterations"
        return find("estimators", "sample-history")(**width), why
    return find("estimators", "shared-samples")(), f"n = {n} is too large to fit a model to few samples"


def _width(problem: Problem, x_scale: NDArray[np.float64]) -> dict[str, Any]:
    """Width of the kernel, where the problem's own would blur a periodic parameter to nothing."""
    shortest = float(np.min(problem.periods / x_scale, initial=math.inf))
    limit = _OF_A_PERIOD * shortest
    return {"sigma": AdaptiveSigma(start=limit)} if problem.sigma > limit else {}


def _within(estimator: Any, n: int, maxfev: float, why: str) -> tuple[Estimator, str]:
    """The same with fewer samples an iteration, where the budget holds few iterations."""
    if maxfev >= _ITERATIONS * estimator.cost(n) or estimator.pairs(n) == 1:
        return estimator, why
    pairs = max(1, int(maxfev) // (2 * _ITERATIONS))
    return evolve(estimator, n_samples=pairs), f"{why}; few samples an iteration, for the budget is {maxfev:.0f}"


def _method_for(problem: Problem, estimator: Estimator) -> Optimizer:
    provides = estimator.provided(problem)
    if problem.default_method is not None:
        own: Optimizer = resolve("optimizers", problem.default_method, "method")
        if not own.requires & ~provides:
            return own
    if kebab(type(estimator).__name__) == _EXACT:
        return _for_exact(problem.n, Order.HESS in provides)
    if not estimator.unbiased and Order.HESS in provides:
        name = "newton"
    elif Order.HESSP in provides:
        name = "newton-cg"
    elif Order.JAC in provides:
        name = "adam"
    else:
        name = "adaptive-bfgs"
    made: Optimizer = find("optimizers", name)(**_OPTIONS.get(kebab(type(estimator).__name__), {}))
    return made


def _for_exact(n: int, curved: bool) -> Optimizer:
    """Methods that compare values, which exact ones allow."""
    made: Optimizer
    if curved:
        made = find("optimizers", "newton")(max_trust_radius=_LONGEST_STEP)
    else:
        made = find("optimizers", "bfgs" if n <= _MOST_FOR_BFGS else "lbfgs")()
    return made
