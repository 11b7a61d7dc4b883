"""Tables in the terminal."""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from invopt._registry import BASES, names
from invopt._result import OptimizeResult

__all__ = ["doctor_table", "outcome_table", "registry_table"]

# More parameters than this are summarised by their errors alone.
_MAX_ROWS = 12


def outcome_table(result: OptimizeResult, start: NDArray[np.float64]) -> Table:
    """Start, found, truth, errors and cost of a run."""
    problem = result.problem
    table = Table(title=f"{type(problem).__name__}: {result.message}")
    for column in ("", "start", "found", "truth"):
        table.add_column(column, justify="left" if column == "" else "right")
    truth = None if problem.x_opt is None else problem.readable(problem.x_opt)
    first = problem.readable(start)
    if len(first) <= _MAX_ROWS:
        found = problem.readable(result.x)
        for name in first:
            table.add_row(name, first[name], found[name], "" if truth is None else truth[name])
    table.add_row("value", "", f"{result.fun:.4g} ± {result.fun_standard_error:.1g}", "")
    errors = problem.parameter_error(start), problem.parameter_error(result.x)
    if not math.isnan(errors[0]):
        table.add_row("parameter error", f"{errors[0]:.4g}", f"{errors[1]:.4g}", "0")
        if errors[0] > 0:
            table.add_row("  relative", "100 %", f"{100 * errors[1] / errors[0]:.3g} %", "")
    table.add_section()
    table.add_row("evaluations", "", str(result.nfev), "")
    table.add_row("iterations", "", str(result.nit), "")
    table.add_row("seconds", "", f"{result.seconds:.2f}", "")
    return table


def registry_table() -> Table:
    """All registered names, with the first line of what each is."""
    table = Table()
    for column in ("wing", "name", "what"):
        table.add_column(column)
    for wing in BASES:
        for name, cls in sorted(names(wing).items()):
            table.add_row(wing, name, _summary(cls))
        table.add_section()
    return table


def _summary(cls: type[object]) -> str:
    """First paragraph's first sentence of a docstring, without its markup."""
    paragraph = " ".join((cls.__doc__ or "").strip().split("\n\n")[0].split())
    plain = re.sub(r":\w+:`([^`]*)`|\[\d+\]_", lambda found: found.group(1) or "", paragraph).replace("`", "")
    return re.sub(r"\s+([.:,])", r"\1", plain)


def doctor_table(rows: list[tuple[str, str, str]]) -> Table:
    """What the machine has, and what to do about what it has not."""
    table = Table()
    for column in ("item", "found", "to do"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
