"""Whether what a run returns is true: over 33 functions whose values without noise are known, ten starts each.

Run with ``pytest tests/benchmarks -k truth -s``; prints the table, some minutes. Every evaluated point is recorded. Of
each run two things are asked:

- the true value at ``res.x`` is not above that at the start by more than the noise;
- where ``res.success``, no evaluated point has a lower true value by more than the noise explains.

The noise is four standard deviations of one measured value, at ``res.x`` and at the other point together; a function
without noise has none, and leaves a margin of 1e-8 of the whole descent, for a lower value by less is no reason to
leave the point that a method found. ``res.fun``, the mean of four measurements where they differ, must be the true
value within five true standard deviations of such a mean.
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

import invopt
from invopt import estimators, optimizers, problems

from .truths import TRUTHS, Recorded, Truth

STARTS, MAXFEV = 10, 600
DEVIATIONS, NEGLIGIBLE = 4.0, 1e-8
PAIRINGS = {
    "default": lambda: (None, None),
    "FiniteDifference + BFGS": lambda: (estimators.FiniteDifference(), optimizers.BFGS()),
    "SharedSamples + NewtonCG": lambda: (estimators.SharedSamples(), optimizers.NewtonCG()),
    "FunctionValue + PyCMA": lambda: (estimators.FunctionValue(), optimizers.PyCMA()),
    "FunctionValue + CMAES": lambda: (estimators.FunctionValue(), optimizers.CMAES()),
}
COLUMNS = ("runs", "above start", "success", "refuted", "wrong fun")


def margin(truth: Truth, x: np.ndarray, other: np.ndarray, descent: float) -> float:
    """How much lower another point may be than `x`."""
    noise = DEVIATIONS * math.hypot(truth.error(x), truth.error(other))
    return noise + NEGLIGIBLE * max(descent, 0.0) + 1e-12 * abs(truth.value(x))


def judged(truth: Truth, seed: int, pairing: str) -> Counter[str]:
    """What is wrong with a run, and how it ended."""
    seen, start = Recorded(truth), truth.start(seed)
    problem = problems.Function(fun=seen, x0=start, residuals=truth.residuals, seeded=True, bounds=truth.bounds)
    try:
        result = invopt.minimize(problem, *PAIRINGS[pairing](), rng=seed, maxfev=MAXFEV)
    except invopt.NonFiniteError as error:
        # Of derivatives: where a difference meets a wall there are none.
        result = error.result
    value, at_start = truth.value(result.x), truth.value(start)
    descent = at_start - value
    lowest = min(seen.points, key=truth.value)
    found = Counter({"runs": 1, result.status.name: 1})
    found["above start"] = int(value > at_start + margin(truth, result.x, start, 0.0))
    found["success"] = int(result.success)
    refuted = value > truth.value(lowest) + margin(truth, result.x, lowest, descent)
    found["refuted"] = int(result.success and refuted)
    error = 5 * truth.error(result.x) / math.sqrt(4) + 1e-9 * abs(value)
    found["wrong fun"] = int(math.isfinite(result.fun_standard_error) and abs(result.fun - value) > error)
    return found


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("pairing", PAIRINGS)
def test_truth(pairing):
    table = Table("kind", "function", "n", *COLUMNS, "ends", title=f"{pairing}, {STARTS} starts, {MAXFEV} evaluations")
    total: Counter[str] = Counter()
    for truth in TRUTHS:
        found = sum((judged(truth, seed, pairing) for seed in range(STARTS)), Counter())
        total += found
        table.add_row(truth.kind, truth.name, str(truth.n), *numbers(found), ends(found))
    table.add_section()
    table.add_row("", "all", "", *numbers(total), ends(total))
    Console(width=150).print(table)
    assert total["runs"] == STARTS * len(TRUTHS)
    assert [total[name] for name in ("above start", "refuted", "wrong fun")] == [0, 0, 0]


def numbers(found: Counter[str]) -> list[str]:
    return [str(found[name]) for name in COLUMNS]


def ends(found: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in found.most_common() if name not in COLUMNS)
