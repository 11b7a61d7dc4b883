"""Tables in the terminal."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from invopt.core.registry import BASES, names
from invopt.core.result import OptimizeResult
from invopt.journal import Journal, RunRecord

__all__ = [
    "correlations_table",
    "doctor_table",
    "evaluations_table",
    "outcome_table",
    "registry_table",
    "runs_table",
]

# Parameters that a table shows, about half of a terminal's height or width; of more, only the error is shown.
_MAX_PARAMETERS = 12


def outcome_table(result: OptimizeResult, start: NDArray[np.float64]) -> Table:
    """Start, result, truth, errors and cost of a run."""
    problem = result.problem
    table = Table(title=f"{type(problem).__name__}: {result.message}")
    for column in ("", "start", "found", "± standard error", "truth"):
        table.add_column(column, justify="left" if column == "" else "right")
    for row in _parameter_rows(result, start):
        table.add_row(*row)
    table.add_row("value", "", f"{result.fun:.4g}", _error(result.fun_standard_error), "")
    errors = problem.parameter_error(start), problem.parameter_error(result.x)
    if not math.isnan(errors[0]):
        table.add_row("parameter error", f"{errors[0]:.4g}", f"{errors[1]:.4g}", "", "0")
        if errors[0] > 0:
            table.add_row("  relative", "100 %", f"{100 * errors[1] / errors[0]:.3g} %", "", "")
    table.add_section()
    table.add_row("evaluations", "", str(result.nfev), "", "")
    table.add_row("iterations", "", str(result.nit), "", "")
    table.add_row("seconds", "", f"{result.seconds:.2f}", "", "")
    return table


def _parameter_rows(result: OptimizeResult, start: NDArray[np.float64]) -> Iterator[tuple[str, ...]]:
    """Name, start, answer, standard error and truth of each parameter."""
    problem = result.problem
    first, found = problem.readable(start), problem.readable(result.x)
    truth = dict.fromkeys(first, "") if problem.x_opt is None else problem.readable(problem.x_opt)
    errors = dict.fromkeys(first, "")
    if result.x_standard_error is not None and tuple(first) == problem.names:
        spread = problem.spread(result.x, result.x_standard_error)
        errors = {name: _error(float(error)) for name, error in zip(first, spread, strict=True)}
    if len(first) <= _MAX_PARAMETERS:
        for name in first:
            yield name, first[name], found[name], errors[name], truth[name]
    # What is solved in every evaluation, such as an exposure, is no column of x.
    for name, value in result.parameters.items():
        own = any(column == name or column.startswith((f"{name}.", f"{name}[")) for column in problem.names)
        if not own and isinstance(value, float):
            yield name, "", f"{value:.5g}", _error((result.parameter_errors or {}).get(name, math.inf)), ""


def _error(error: float) -> str:
    return f"{error:.2g}" if math.isfinite(error) else ""


def correlations_table(result: OptimizeResult) -> Table | None:
    """Correlations of the errors of the parameters.

    None if they are unknown, or of one parameter or too many.
    """
    names, covariance = result.problem.names, result.covariance
    if covariance is None or not 1 < len(names) <= _MAX_PARAMETERS:
        return None
    errors = np.sqrt(np.diag(covariance))
    scale = np.where(errors > 0, errors, np.inf)
    table = Table(title="correlations of the errors")
    for column in ("", *names):
        table.add_column(column, justify="left" if column == "" else "right")
    for name, row in zip(names, covariance / np.outer(scale, scale), strict=True):
        table.add_row(name, *(f"{value:.2f}" for value in row))
    return table


def runs_table(runs: Sequence[RunRecord]) -> Table:
    """Runs of a journal, one in a row."""
    table = Table()
    for column in ("run", "began", "problem", "by", "rows", "status", "value"):
        table.add_column(column, justify="right" if column in ("run", "rows", "value") else "left", overflow="fold")
    for run in runs:
        began = datetime.fromtimestamp(run.created).isoformat(" ", "minutes")
        problem, estimator, method = (text.partition("(")[0] for text in (run.problem, run.estimator, run.method))
        value = "" if run.fun is None else f"{run.fun:.4g}"
        status = run.status or "not ended"
        table.add_row(str(run.id), began, problem, f"{estimator}, {method}", str(run.evaluations), status, value)
    return table


def evaluations_table(journal: Journal, run: int) -> Table:
    """Evaluations of a run of a journal, one in a row."""
    found = journal.evaluations(run)
    names = next(record.names for record in journal.runs if record.id == run)
    shown = names if len(names) <= _MAX_PARAMETERS else ()
    table = Table()
    for column in ("number", *shown, "value", "seed", "seconds", "worker", "purpose"):
        table.add_column(column, justify="left" if column in ("worker", "purpose") else "right")
    for i in range(len(found)):
        point = [f"{value:.5g}" for value in found.x[i]] if shown else []
        value = found.failure[i] or f"{found.fun[i]:.5g}"
        seconds = f"{found.seconds[i]:.3g}"
        table.add_row(str(i), *point, value, str(found.seed[i]), seconds, found.worker[i], found.purpose[i])
    return table


def registry_table() -> Table:
    """All registered names, each with the first paragraph of its docstring."""
    table = Table()
    for column in ("kind", "name", "description"):
        table.add_column(column)
    for wing in BASES:
        for name, cls in sorted(names(wing).items()):
            table.add_row(wing, name, _summary(cls))
        table.add_section()
    return table


def _summary(cls: type[object]) -> str:
    """First paragraph of a docstring, without its markup."""
    paragraph = " ".join((cls.__doc__ or "").strip().split("\n\n")[0].split())
    plain = re.sub(r":\w+:`([^`]*)`|\[\d+\]_", lambda found: found.group(1) or "", paragraph).replace("`", "")
    return re.sub(r"\s+([.:,])", r"\1", plain)


def doctor_table(rows: list[tuple[str, str, str]]) -> Table:
    """What was found on the machine, and what to do about what is missing."""
    table = Table()
    for column in ("item", "found", "to do"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
