"""Which estimator and method serve a problem where none is asked for, and why."""

from __future__ import annotations

from typing import Any, NamedTuple

from invopt._estimator import Estimator, Order
from invopt._optimizer import Optimizer
from invopt._problem import Capability, Problem
from invopt._registry import find, kebab, resolve
from invopt._schedules import Linear

__all__ = ["Choice", "choose"]

# Above these, samples are too few for the model that each fits.
_MOST_FOR_GAUSS_NEWTON = 20
_MOST_FOR_HISTORY = 6

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


def choose(problem: Problem, estimator: Any, method: Any) -> Choice:
    """Resolve names and presets, and fill in what was left out."""
    asked = None if method is None else resolve("optimizers", method, "method")
    if isinstance(estimator, str) and estimator.lower() == "paper":
        return _paper(asked)
    if estimator is not None and not (isinstance(estimator, str) and estimator.lower() == "auto"):
        chosen = resolve("estimators", estimator, "estimator")
        return Choice(chosen, _method_for(problem, chosen) if asked is None else asked, "")
    chosen, why = _estimator_for(problem)
    if asked is not None and asked.requires == Order.FUN:
        chosen, why = find("estimators", "function-value")(), "the method uses values only"
    elif asked is not None and asked.requires & ~chosen.provides:
        chosen, why = find("estimators", "shared-samples")(), "it provides what the method requires"
    made = _method_for(problem, chosen) if asked is None else asked
    return Choice(chosen, made, f"{type(chosen).__name__} with {type(made).__name__}: {why}")


def _paper(asked: Optimizer | None) -> Choice:
    """The paper's AggregateHVP with Fletcher-Reeves CG, at its authors' settings."""
    estimator = find("estimators", "aggregate-hvp")(sigma=Linear(), n_samples=2, seeds="fixed")
    method = find("optimizers", "fletcher-reeves-cg")(nonpositive_curvature="unit") if asked is None else asked
    return Choice(estimator, method, "the paper's estimator at its authors' settings")


def _estimator_for(problem: Problem) -> tuple[Estimator, str]:
    n = problem.n
    if problem.default_estimator is not None:
        return find("estimators", problem.default_estimator)(), f"{type(problem).__name__} names it as what serves it"
    if Capability.RESIDUALS in problem.provides and n <= _MOST_FOR_GAUSS_NEWTON:
        return (
            find("estimators", "gauss-newton")(),
            f"residuals are known, and n = {n} is at most {_MOST_FOR_GAUSS_NEWTON}",
        )
    if n <= _MOST_FOR_HISTORY:
        return (
            find("estimators", "sample-history")(),
            f"values only, and n = {n} is small enough for a quadratic through the samples of the last iterations",
        )
    return find("estimators", "shared-samples")(), f"n = {n} is too large to fit a model to few samples"


def _method_for(problem: Problem, estimator: Estimator) -> Optimizer:
    provides = estimator.provides
    if problem.default_method is not None:
        own: Optimizer = resolve("optimizers", problem.default_method, "method")
        if not own.requires & ~provides:
            return own
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
