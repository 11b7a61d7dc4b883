"""Tidy table of a matrix, one row for each run, and its checks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from invopt.bench.cell import Cell, Outcome, digest, start
from invopt.bench.results.measures import FRACTIONS, cost_to, median, quantile
from invopt.bench.settings import make_problem
from invopt.bench.store import ResultsError, Store
from invopt.core.problem import Problem
from invopt.exceptions import InvoptError

__all__ = ["KINDS", "Results", "column", "load", "write_table"]

KINDS = ("parameter", "image")


def column(cost: str, kind: str, fraction: float) -> str:
    """Name of a measure, such as ``renders_parameter_0.01``.

    That is the number of renders until 1 % of the starting parameter error.
    """
    return f"{cost}_{kind}_{fraction:g}"


def _row(outcome: Outcome) -> dict[str, Any]:
    """Row of a run; the measures of a failed run are infinite."""
    record, arrays = outcome.record, outcome.arrays
    row = {key: record.get(key) for key in _RECORDED}
    for kind in KINDS:
        rows = arrays.get("image_row") if kind == "image" else slice(None)
        errors = arrays.get(f"{kind}_error")
        for fraction in FRACTIONS:
            for cost, name in (("renders", "nfev"), ("seconds", "seconds")):
                found = math.inf if errors is None else cost_to(arrays[name][rows], errors, fraction)
                row[column(cost, kind, fraction)] = found
        row[f"{kind}_error"] = math.inf if errors is None else float(errors[-1])
        row[f"{kind}_error_start"] = math.nan if errors is None else float(errors[0])
    row["x"] = arrays["x"].tolist() if "x" in arrays else None
    return row


# Columns that are taken from the record of a run as they are.
_RECORDED = (
    *("task", "method", "seed", "size", "n", "maxfev", "shared_reference", "failure", "status", "nfev", "nit"),
    *("seconds", "fun", "x0_digest", "x_digest"),
)


@frozen(eq=False)
class Results:
    """A finished matrix.

    Parameters
    ----------
    run : dict
        Description of the matrix, as `Store.describe` returns it.
    rows : list of dict
        The tidy table.
    outcomes : list of Outcome
        The same runs with their histories.
    """

    run: dict[str, Any]
    rows: list[dict[str, Any]]
    outcomes: list[Outcome]

    @property
    def tasks(self) -> list[str]:
        """Tasks in the paper's order, others after them."""
        order = ("quad", "box2", "box10", "mug", "shadow", "bunny", "texture")
        found = {row["task"] for row in self.rows}
        return [task for task in order if task in found] + sorted(found - set(order))

    def is_known(self, task: str) -> bool:
        """Whether the answer of a task is known, so that runs have a parameter error."""
        return self._problem(task).x_opt is not None

    def cost(self, task: str) -> str:
        """What the evaluations of a task are called."""
        return "renders" if self._problem(task).renders else "evaluations"

    def _problem(self, task: str) -> Problem:
        row = next(row for row in self.rows if row["task"] == task)
        return make_problem(task, row["size"], row["shared_reference"])

    def methods(self, task: str | None = None) -> list[str]:
        """Methods that were run; with `task`, on that task."""
        return list(dict.fromkeys(row["method"] for row in self.rows if task in (None, row["task"])))

    def values(self, task: str, method: str, name: str) -> NDArray[np.float64]:
        """Values of a column for all seeds of a task and a method.

        Empty if they were not run.
        """
        chosen = [row[name] for row in self.rows if (row["task"], row["method"]) == (task, method)]
        return np.array(chosen, dtype=np.float64)

    def spread(self, task: str, method: str, name: str) -> tuple[float, float, float, int, int]:
        """Median, quartiles, number of finite values and of all values."""
        values = self.values(task, method, name)
        return (
            median(values),
            quantile(values, 0.25),
            quantile(values, 0.75),
            int(np.isfinite(values).sum()),
            values.size,
        )


def load(folder: str | Path) -> Results:
    """Read a finished matrix and check it.

    Raises
    ------
    ResultsError
        If `invopt bench` did not write the folder, if cells are missing, or if starts or budgets of methods differ.
    """
    store = Store(Path(folder).absolute())
    run = store.describe()
    outcomes = list(store.outcomes())
    _check_complete(run, outcomes)
    _check_fair(outcomes)
    return Results(run, [_row(outcome) for outcome in outcomes], outcomes)


def _check_complete(run: dict[str, Any], outcomes: Sequence[Outcome]) -> None:
    found = {(o.record["task"], o.record["method"], o.record["seed"]) for o in outcomes}
    missing = sorted({tuple(key) for key in run["cells"]} - found)
    if missing:
        raise ResultsError(
            f"{len(missing)} of {len(run['cells'])} runs are missing (the first: {' '.join(map(str, missing[0]))}): "
            f"repeat the command that made the folder: {run['commands'][-1]}"
        )


def _check_fair(outcomes: Sequence[Outcome]) -> None:
    """Check that all methods of a task had the same starts and the same budget."""
    groups: dict[str, dict[str, dict[int, dict[str, Any]]]] = {}
    for outcome in outcomes:
        record = outcome.record
        groups.setdefault(record["task"], {}).setdefault(record["method"], {})[record["seed"]] = record
    for task, methods in groups.items():
        seeds = set().union(*methods.values())
        problem = make_problem(task, *_settings(next(iter(next(iter(methods.values())).values()))))
        expected = {seed: digest(start(problem, seed)) for seed in seeds}
        for method, records in methods.items():
            if lacking := sorted(seeds - set(records)):
                raise ResultsError(
                    f"{method} had {len(records)} of the {len(seeds)} starts of {task} (not {lacking[0]}, ...): "
                    f"run it on all of them"
                )
            for seed, record in records.items():
                if record["x0_digest"] != expected[seed]:
                    raise ResultsError(f"{method} did not begin at start {seed} of {task}")
        budgets = {record["maxfev"] for records in methods.values() for record in records.values()}
        if len(budgets) > 1:
            raise ResultsError(f"the methods had different budgets on {task}: {sorted(budgets)}")


def _settings(record: dict[str, Any]) -> tuple[str, bool]:
    cell = Cell(**{name: record[name] for name in ("task", "method", "seed", "size", "maxfev", "shared_reference")})
    return cell.size, cell.shared_reference


def write_table(results: Results, path: Path) -> None:
    """Write the tidy table as Parquet."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError:
        raise InvoptError("the table needs the package 'pyarrow': pip install 'invopt[bench]'") from None
    pq.write_table(pa.Table.from_pylist(results.rows), path)
