"""The objective's own derivative as estimators see it: scaled, projected, counted, budgeted, checked like any value."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invopt._evaluate import Evaluator
from invopt.exceptions import EvaluationError, InvoptError, NonFiniteError

__all__ = ["COST", "values_and_jacs"]

# Evaluations that a value with its derivative counts as: one pass forwards, one backwards.
COST = 2


def values_and_jacs(
    evaluator: Evaluator, x: Tensor, seeds: NDArray[np.int64], *, integrator: str
) -> tuple[Tensor, Tensor]:
    """Values of shape (k,) and derivatives of shape (k, n) at one point, in units of `x_scale`, one for each seed."""
    point = evaluator.rows(evaluator.project(x))
    values, jacs = [], []
    for seed in seeds.tolist():
        evaluator.check_budget(COST)
        evaluator.check_time()
        value, jac = _differentiated(evaluator, point, seed, integrator)
        evaluator.spend(COST)
        values.append(value)
        jacs.append(jac * evaluator.x_scale)
    found = torch.tensor(values, dtype=torch.float64), torch.stack(jacs)
    if not all(bool(torch.isfinite(part).all()) for part in found):
        raise NonFiniteError("the derivative is not finite; bound the parameters or repair the objective")
    return found


def _differentiated(evaluator: Evaluator, point: Tensor, seed: int, integrator: str) -> tuple[float, Tensor]:
    try:
        method = getattr(evaluator.objective, f"{evaluator.prefix}value_and_jac")
        value, jac = method(point, seed=seed, integrator=integrator)
        return float(value), jac
    except InvoptError:
        raise
    except Exception as error:
        raise EvaluationError(
            f"the derivative of the objective raised {type(error).__name__}: {error}; after "
            f"{evaluator.nfev} evaluations"
        ) from error
