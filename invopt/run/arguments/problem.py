"""Problem of a run, from an object, a name or a callable."""

from __future__ import annotations

from typing import Any

from invopt.core.constraints import with_constraints
from invopt.core.priors import with_prior
from invopt.core.problem import Problem
from invopt.core.registry import find, resolve
from invopt.core.validators import as_vector
from invopt.run.arguments.options import Options
from invopt.run.arguments.scipy_habits import is_function, is_given, with_arguments

__all__ = ["resolve_problem"]


def resolve_problem(problem: Any, options: Options) -> Problem:
    """Return a problem with its prior and constraints.

    As it is, or made from a name, or from a callable and `x0`.
    """
    found = with_prior(_resolved(problem, options), options.prior)
    if not options.constraints:
        return found
    start = found.x0 if options.x0 is None else as_vector("x0", options.x0, size=found.n, scalar=True)
    return with_constraints(found, options.constraints, start)


def _resolved(problem: Any, options: Options) -> Problem:
    if not is_function(problem):
        for name in ("args", "jac", "hess"):
            if is_given(getattr(options, name)):
                raise TypeError(
                    f"'{name}' is for callables; give it to the problem instead: Function(fun=..., {name}=...)"
                )
        resolved = resolve("problems", problem, "problem")
        assert isinstance(resolved, Problem)
        return resolved
    if options.x0 is None:
        raise TypeError("'x0' is needed where 'problem' is a callable: minimize(f, x0=[...])")
    own = {"fun": problem, "jac": options.jac, "hess": options.hess}
    functions = {name: with_arguments(function, options.args) for name, function in own.items()}
    rest = {"x0": options.x0, "bounds": options.bounds, "x_scale": options.x_scale}
    made: Problem = find("problems", "function")(**functions, **rest)
    return made
