"""Names of functions and classes in journals and snapshots, which stay when a module moves."""

from __future__ import annotations

from typing import Any

__all__ = ["reference"]

# Modules of ours by their names in files written before version 0.2. A module that moves again keeps its entry, under
# its new name; a new module needs none.
_MODULES = {
    "invopt.adapters.session": "invopt._session",
    "invopt.core.estimator": "invopt._estimator",
    "invopt.core.evaluator": "invopt._evaluate",
    "invopt.core.objective": "invopt._objective",
    "invopt.core.optimizer": "invopt._optimizer",
    "invopt.core.outcome": "invopt._outcome",
    "invopt.core.problem": "invopt._problem",
    "invopt.core.residual_equation": "invopt._sides",
    "invopt.core.result": "invopt._result",
    "invopt.core.schedules": "invopt._schedules",
    "invopt.core.seeds": "invopt._seeds",
    "invopt.network.chain_rule": "invopt._chained",
    "invopt.run.arguments.scipy_habits": "invopt._scipy_habits",
}
# The same of single classes that have moved from one module to another, or were renamed.
_NAMES = {
    "invopt.core.adaptive_sigma:AdaptiveSigma": "invopt._width:AdaptiveWidth",
    "invopt.core.estimator:Point": "invopt._stopping:Point",
    "invopt.core.problem:Chain": "invopt._chain:Chain",
    "invopt.core.problem:Link": "invopt._chain:Link",
}


def reference(value: Any) -> str:
    """Return module and name of a function or class, as files have them."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    found = f"{module}:{name}"
    return _NAMES.get(found) or f"{_MODULES.get(str(module), module)}:{name}"
