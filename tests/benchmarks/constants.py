"""What a named constant is worth: runs with multiples of its value, on quick tasks.

A script, not a test::

    python tests/benchmarks/constants.py estimators.sparse_gauss_newton:_SHARE_OF_SAMPLES
    python tests/benchmarks/constants.py optimizers.newton:_TAKEN --values 1e-5 1e-3 --tasks newton

A constant is named ``module:NAME``, with the module's name within invopt, or ``module:Class.attribute.field``. Seeds
give start and run. Each row of the table is a value of the constant on a task:

solved
    Runs whose parameter error falls to the share `--fraction` of the start's and stays there.
median, quartiles
    Of the evaluations that this takes; runs that are not solved count as infinite.
to the end
    Median of all evaluations of a run.
rms
    Root mean square of the errors over their error bars; 1 is right.

The last rows compare the values over all tasks: geometric means, over runs, of the ratios of evaluations to those with
the first value.
"""

from __future__ import annotations

import argparse
import importlib
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from constant_tasks import TASKS, Task, factors_of, tasks_of

from invopt.bench.results.measures import evaluations_to, median, quantile
from invopt.plugin import minimize_on
from invopt.rendering import set_threads
from invopt.run.arguments.options import Options
from invopt.run.prepare import prepare

SEEDS = range(1000, 1006)
HEADER = f"{'task':16} {'value':>10} {'solved':>8} {'median':>7} {'quartiles':>12} {'to the end':>10} {'rms':>5}"


class Row(NamedTuple):
    """What the runs of one value on one task have come to."""

    counts: list[float]
    ends: list[float]
    rms: float


def constant(name: str) -> tuple[Any, str, Any]:
    """Holder, name within it and value of ``module:NAME`` or ``module:Class.attribute.field``."""
    place, _, path = name.partition(":")
    *owners, attribute = path.split(".")
    holder: Any = importlib.import_module(f"invopt.{place}")
    for owner in owners:
        holder = getattr(holder, owner)
    return holder, attribute, getattr(holder, attribute)


@contextmanager
def set_to(name: str, value: Any) -> Iterator[None]:
    """Replace a constant, in its own module and wherever it was imported from there by name."""
    holder, attribute, before = constant(name)
    holders = [holder]
    if isinstance(holder, ModuleType) and not attribute.startswith("_"):
        ours = [each for key, each in list(sys.modules.items()) if key.startswith("invopt.")]
        holders += [each for each in ours if each is not holder and getattr(each, attribute, None) is before]
    # What is frozen has a method of its own that refuses.
    put = setattr if isinstance(holder, ModuleType | type) else object.__setattr__
    for each in holders:
        put(each, attribute, value)
    try:
        yield
    finally:
        for each in holders:
            put(each, attribute, before)


def scaled(value: Any, factor: float) -> Any:
    """A multiple, whole where the value is."""
    return max(1, round(value * factor)) if isinstance(value, int) else value * factor


_UNCHANGED: dict[tuple[Any, ...], Row] = {}


def row_of(name: str, value: Any, task: str, seeds: list[int], fraction: float) -> Row:
    """Runs of one value on one task; those of the present value are kept."""
    if value != constant(name)[2]:
        return measure(name, value, TASKS[task], seeds, fraction)
    key = (task, *seeds, fraction)
    if key not in _UNCHANGED:
        _UNCHANGED[key] = measure(name, value, TASKS[task], seeds, fraction)
    return _UNCHANGED[key]


def measure(name: str, value: Any, task: Task, seeds: list[int], fraction: float) -> Row:
    """Runs of one value on one task, all on one open objective."""
    problem, counts, ends, scores = task.problem(), [], [], []
    with set_to(name, value), prepare(problem, Options()).open() as objective:
        for seed in seeds:
            parts = [None if part is None else part() for part in (task.estimator, task.method)]
            start = problem.starts(np.random.default_rng(seed), 1)[0]
            result = minimize_on(objective, problem, *parts, x0=start, rng=seed, maxfev=task.maxfev, progress=False)
            counts.append(evaluations_to(result, fraction))
            ends.append(float(result.nfev))
            bars = result.x_standard_error
            if bars is not None and bool((np.asarray(bars) > 0).all()):
                scores.extend((problem.wrap(result.x - problem.x_opt) / bars).tolist())
    return Row(counts, ends, math.sqrt(np.square(scores).mean()) if scores else math.nan)


def line(task: str, value: Any, row: Row) -> str:
    """A row of the table."""
    solved = sum(math.isfinite(count) for count in row.counts)
    spread = f"{quantile(row.counts, 0.25):.0f} to {quantile(row.counts, 0.75):.0f}"
    return (
        f"{task:16} {value:10.4g} {solved:3} of {len(row.counts):<2} {median(row.counts):6.0f} {spread:>12} "
        f"{median(row.ends):10.0f} {row.rms:5.2f}"
    )


def ratios(rows: dict[str, list[Row]], i: int) -> tuple[float, float]:
    """Mean ratios of evaluations to the answer and to the end, to those of the first value."""
    found: tuple[list[float], list[float]] = ([], [])
    for first, *others in rows.values():
        other = [first, *others][i]
        both = [
            (a, b)
            for a, b in zip(first.counts, other.counts, strict=True)
            if math.isfinite(a) and math.isfinite(b) and a > 0 and b > 0
        ]
        found[0].extend(math.log(b / a) for a, b in both)
        found[1].extend(math.log(b / a) for a, b in zip(first.ends, other.ends, strict=True))
    to_answer, to_end = (math.exp(np.mean(logs)) if logs else math.nan for logs in found)
    return to_answer, to_end


def table(name: str, values: list[Any], tasks: list[str], seeds: list[int], fraction: float) -> None:
    """Measure and print."""
    print(f"{name}, seeds {seeds[0]} to {seeds[-1]}\n{HEADER}", flush=True)
    rows: dict[str, list[Row]] = {}
    for task in tasks:
        rows[task] = []
        for value in values:
            rows[task].append(row_of(name, value, task, seeds, fraction))
            print(line(task, value, rows[task][-1]), flush=True)
    for i, value in enumerate(values):
        solved = sum(math.isfinite(count) for each in rows.values() for count in each[i].counts)
        to_answer, to_end = ratios(rows, i)
        print(
            f"{'all':16} {value:10.4g} {solved:3} of {len(tasks) * len(seeds):<3} evaluations to the answer times "
            f"{to_answer:.2f}, to the end times {to_end:.2f}",
            flush=True,
        )


def _span(text: str) -> list[int]:
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", metavar="module:NAME")
    parser.add_argument("--factors", type=float, nargs="+", help="multiples of the value")
    parser.add_argument("--values", type=float, nargs="+", help="values themselves, instead of factors")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, help="by default those on which the constant matters")
    parser.add_argument("--seeds", type=_span, default=list(SEEDS), help="such as 1000-1005")
    parser.add_argument("--fraction", type=float, default=0.01, help="of the parameter error at the start")
    given = parser.parse_args()
    set_threads(1, 1)
    for name in given.names:
        value = constant(name)[2]
        values = given.values or [scaled(value, factor) for factor in given.factors or factors_of(name)]
        if isinstance(value, int):
            values = [int(each) for each in values]
        table(name, values, given.tasks or list(tasks_of(name)), given.seeds, given.fraction)


if __name__ == "__main__":
    main()
