"""Runs of methods on the set BBOB.

Each has the share of the targets that it reaches.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from attrs import frozen

from invopt.bench.cell import search
from invopt.bench.counted import CountedObjective
from invopt.core.result import Status

from .problem import Bbob, BbobObjective

__all__ = ["TARGETS", "Row", "run_all", "run_one", "table"]

# Targets of COCO: 51 from 1e2 to 1e-8, evenly in the logarithm.
TARGETS = np.logspace(2, -8, 51)
# The last target, at which a function counts as solved.
_SOLVED = 1e-8


@frozen(kw_only=True)
class Row:
    """A run of a method on a function.

    Attributes
    ----------
    function, dimension, instance : int
        Which function.
    method : str
        Name of the method.
    nfev : int
        Evaluations.
    lowest, returned : float
        Lowest value evaluated, and that of the point returned, above the optimum.
    first : float
        Value at the start.
    seconds : float
        Time of the run.
    failure : str or None
        Error or time limit that ended the run; what it had evaluated counts.
    """

    function: int
    dimension: int
    instance: int
    method: str
    nfev: int
    lowest: float
    returned: float
    first: float
    seconds: float
    failure: str | None

    @property
    def share(self) -> float:
        """Share of the targets reached by a point evaluated."""
        return float(np.mean(self.lowest <= TARGETS))


class _Lowest(CountedObjective):
    """Objective that counts, and notes the lowest value."""

    def __init__(self, objective: BbobObjective) -> None:
        super().__init__(objective)
        self.lowest, self._most = math.inf, math.inf

    def limit(self, most: int) -> None:
        """Evaluations that count."""
        self._most = most

    def fun(self, x: torch.Tensor, *, seed: np.ndarray, spp: int | None = None) -> torch.Tensor:
        counted = int(max(min(self._most - self.count, len(x)), 0))
        values = super().fun(x, seed=seed, spp=spp)
        self.lowest = min([self.lowest, *values[:counted].tolist()])
        return values


def run_one(problem: Bbob, method: str, evaluations: int, maxtime: float) -> Row:
    """Run a method on a function; the instance is the seed.

    Parameters
    ----------
    problem : Bbob
        The function.
    method : str
        A preset, or ``estimator+method``.
    evaluations : int
        Budget, in multiples of the dimension.
    maxtime : float
        Seconds after which the run ends.
    """
    opened, x0 = problem.open(), problem.x0
    objective = _Lowest(opened)
    first = float(opened.noise_free(torch.from_numpy(x0[None]))[0])
    budget = evaluations * problem.dimension
    objective.limit(budget)
    began, failure, returned = time.perf_counter(), None, math.inf
    try:
        result = search(method, problem, objective, np.random.default_rng([problem.instance, 1]), budget, maxtime)
        returned = float(opened.noise_free(torch.from_numpy(np.array(result.x)[None]))[0])
        if result.status is Status.MAXTIME:
            failure = f"CellError: exceeded its time of {maxtime:g} s after {result.nfev} evaluations"
    except Exception as error:  # noqa: BLE001 - the other runs still run
        failure = f"{type(error).__name__}: {error}"
    return Row(
        function=problem.function,
        dimension=problem.dimension,
        instance=problem.instance,
        method=method,
        nfev=objective.count,
        lowest=objective.lowest,
        returned=returned,
        first=first,
        seconds=time.perf_counter() - began,
        failure=failure,
    )


def run_all(
    methods: Sequence[str], problems: Sequence[Bbob], evaluations: int, maxtime: float, report: Callable[[Row], None]
) -> list[Row]:
    """Run every method on every function, one run after the other."""
    rows = []
    for method in methods:
        for problem in problems:
            rows.append(run_one(problem, method, evaluations, maxtime))
            report(rows[-1])
    return rows


def table(rows: Sequence[Row]) -> str:
    """Table of all methods in Markdown.

    For each dimension the share of targets, and the share of functions solved; returned points that are worse than the
    start, seconds of all runs, and failures.
    """
    dimensions = sorted({row.dimension for row in rows})
    head = ["method", *(f"D = {d}: targets, solved" for d in dimensions), "worse", "seconds", "failed"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for method in dict.fromkeys(row.method for row in rows):
        own = [row for row in rows if row.method == method]
        cells = []
        for dimension in dimensions:
            here = [row for row in own if row.dimension == dimension]
            solved = np.mean([row.lowest <= _SOLVED for row in here])
            cells.append(f"{np.mean([row.share for row in here]):.3f}, {solved:.2f}")
        worse = sum(row.first < row.returned < math.inf for row in own)
        seconds, failed = sum(row.seconds for row in own), sum(row.failure is not None for row in own)
        lines.append(
            "| " + " | ".join([method, *cells, str(worse), f"{seconds:.0f}", f"{failed} of {len(own)}"]) + " |"
        )
    return "\n".join(lines)
