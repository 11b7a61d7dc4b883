"""Tests of hypotheses about means, at one false-alarm rate for everything in this folder.

The family: at most `FAMILY` components are compared in all of tests/estimators (`test_unbiased` counts them), each at
1e-6 / FAMILY, so that by Bonferroni's inequality the whole folder raises one false alarm in a million choices of seeds.
"""

from __future__ import annotations

import math
import zlib
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from invopt.core.estimator import Estimate, Estimator, Order
from invopt.evaluate.budget import Budget
from invopt.evaluate.evaluator import CountingEvaluator
from invopt.problems import Function

FAMILY = 5000
ALPHA = 1e-6 / FAMILY
THRESHOLD = float(stats.norm.isf(ALPHA / 2))

Array = NDArray[np.float64]


class Mean(NamedTuple):
    """Estimate of a mean and its standard error, component by component."""

    value: Array
    error: Array


def seed_of(*parts: object) -> int:
    """A seed fixed by a description."""
    return zlib.crc32(repr(parts).encode())


def evaluator(
    fun, n: int, *, max_nonfinite: float = 0.5, vectorized: bool = True, seeded: bool = False
) -> CountingEvaluator:
    """Counting evaluator of a function of n parameters, called for many points at once."""
    problem = Function(fun=fun, x0=np.zeros(n), vectorized=vectorized, seeded=seeded, chunk_size=2**16)
    budget = Budget(max_nonfinite=max_nonfinite)
    return CountingEvaluator(problem.open(), problem.provides, torch.ones(n, dtype=torch.float64), budget=budget)


def estimate(estimator: Estimator, objective: CountingEvaluator, x: Array, rng: np.random.Generator) -> Estimate:
    """One estimate at `x`, from the estimator's initial state."""
    state = estimator.init(Function(fun=len, x0=x))
    return estimator.estimate(objective, torch.from_numpy(x.copy()), state, rng)[0]


def quantities(estimator: Estimator, record: Estimate, p: Array) -> dict[str, Mean]:
    """All that the estimator provides, flattened: hess as its upper triangle."""
    found = {
        "fun": Mean(np.array([record.fun]), np.array([record.fun_standard_error])),
        "jac": Mean(record.jac.numpy(), record.standard_error.numpy()),
    }
    if Order.HESS in estimator.provides:
        upper = np.triu_indices(len(p))
        found["hess"] = Mean(record.hess.numpy()[upper], record.hess_standard_error.numpy()[upper])
    if Order.HESSP in estimator.provides:
        product = record.measure_hessp(torch.from_numpy(p.copy()))
        found["hessp"] = Mean(product.value.numpy(), product.standard_error.numpy())
    return found


def pooled(parts: list[dict[str, Mean]]) -> dict[str, Mean]:
    """Mean of independent estimates of equal size, with the error that their own standard errors imply."""
    return {
        name: Mean(
            np.mean([part[name].value for part in parts], axis=0),
            np.sqrt(np.sum([part[name].error ** 2 for part in parts], axis=0)) / len(parts),
        )
        for name in parts[0]
    }


def z_scores(found: Mean, expected: Array) -> Array:
    """Standardised differences; 0 where both the difference and the error vanish."""
    difference = found.value - expected
    # A contribution that is the same in every sample has no error and is exact up to rounding.
    error = found.error + 1e-12 * (1 + np.abs(expected))
    return difference / error


def rejected(found: dict[str, Mean], expected: dict[str, Array], threshold: float = THRESHOLD) -> dict[str, float]:
    """Largest |z| of every quantity that fails the test; empty if all pass."""
    worst = {name: float(np.abs(z_scores(found[name], value)).max()) for name, value in expected.items()}
    # A nan must fail.
    return {name: z for name, z in worst.items() if not z < threshold}


def over_repetitions(values: Array) -> Mean:
    """Mean over the first axis, its error from the scatter."""
    return Mean(values.mean(0), values.std(0, ddof=1) / math.sqrt(len(values)))
