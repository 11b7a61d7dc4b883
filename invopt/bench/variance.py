"""Variance of estimators against their number of samples, as in the paper's Fig.

5.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.objective import Capability
from invopt.core.registry import find
from invopt.evaluate.evaluator import CountingEvaluator

__all__ = ["PROPOSALS", "QUANTITIES", "SAMPLES", "variances"]

QUANTITIES = ("jac", "hess", "hessp")
PROPOSALS = ("optimal", "aggregate", "uniform")
SAMPLES = (4, 16, 64, 256)
# The standard error of a variance from 200 repetitions is about 10 % of it: sqrt(2 / 199).
_REPETITIONS = 200
# Sigma and point of our own example, chosen so that samples fall on both sides of the edge of `_picture`.
_SIGMA = 0.5
_POINT = torch.tensor([0.2, -0.1], dtype=torch.float64)


def _picture(X: NDArray[np.float64]) -> NDArray[np.float64]:
    """Model of an image loss: 0 inside of a ball and 1 outside, plus a smooth term."""
    values: NDArray[np.float64] = (np.linalg.norm(X - 0.3, axis=1) > 1.0) + 0.3 * np.cos(X @ np.array([1.0, 2.0]))
    return values


def variances(quantity: str, proposal: str) -> list[float]:
    """Variance of a quantity, summed over its elements, for each of `SAMPLES`.

    Samples are those of the paper's importance sampling, without antithetic pairs; 200 repetitions, seeds 0 to 199.
    """
    problem = find("problems", "function")(fun=_picture, x0=_POINT.numpy(), vectorized=True)
    evaluator = CountingEvaluator(problem.open(), Capability.FUN, torch.ones(2, dtype=torch.float64))
    found = []
    for m in SAMPLES:
        estimator = _estimator(quantity, proposal, m)
        values = [_measure(estimator, quantity, problem, evaluator, seed) for seed in range(_REPETITIONS)]
        found.append(float(torch.stack(values).var(0).sum()))
    return found


def _estimator(quantity: str, proposal: str, m: int) -> Any:
    options: dict[str, Any] = {"sigma": _SIGMA, "n_samples": m, "antithetic": False}
    if proposal == "aggregate":
        name = {"jac": "aggregate-gradient", "hess": "aggregate-hessian", "hessp": "aggregate-hvp"}[quantity]
        return find("estimators", name)(**options)
    name = {"jac": "smoothed-gradient", "hess": "smoothed-hessian", "hessp": "smoothed-hvp"}[quantity]
    return find("estimators", name)(proposal=proposal, **options)


def _measure(estimator: Any, quantity: str, problem: Any, evaluator: CountingEvaluator, seed: int) -> Tensor:
    estimate, _ = estimator.estimate(evaluator, _POINT, estimator.init(problem), np.random.default_rng(seed))
    if quantity == "hessp":
        product: Tensor = estimate.hessp(torch.tensor([0.6, 0.8], dtype=torch.float64))
        return product
    value: Tensor = getattr(estimate, quantity).reshape(-1)
    return value
