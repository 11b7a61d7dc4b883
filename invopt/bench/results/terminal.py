"""Tables of a matrix for the terminal."""

from __future__ import annotations

from rich.table import Table

from invopt.bench.results.markdown import UNKNOWN, number, rows_of_table_2, unknown_rows
from invopt.bench.results.measures import FRACTIONS
from invopt.bench.results.paper import COLUMNS
from invopt.bench.results.table import Results, column

__all__ = ["tables"]


def tables(results: Results) -> list[Table]:
    """Costs of every method on each task, and the ratios beside the paper's.

    A task whose answer is unknown has the values that were reached instead; a table without rows is left out.
    """
    made = []
    for task in results.tasks:
        made.append(_costs(results, task) if results.is_known(task) else _values(results, task))
        if rows_of_table_2(results, task):
            made.append(_ratios(results, task))
    return made


def _costs(results: Results, task: str) -> Table:
    cost = results.cost(task)
    table = Table(title=f"{task.upper()}: {cost} until the parameter error stays below, median [quartiles]")
    for name in ("method", *(f"{100 * f:g} %" for f in FRACTIONS), "solved", "image 1 %"):
        table.add_column(name, justify="left" if name == "method" else "right")
    for method in results.methods(task):
        spreads = [results.spread(task, method, column("renders", "parameter", f)) for f in FRACTIONS]
        image = results.spread(task, method, column("renders", "image", 0.01))[0]
        cells = [f"{number(s[0], 4)} [{number(s[1], 4)}, {number(s[2], 4)}]" for s in spreads]
        table.add_row(method, *cells, " ".join(f"{s[3]}/{s[4]}" for s in spreads), number(image, 4))
    return table


def _values(results: Results, task: str) -> Table:
    table = Table(title=f"{task.upper()}: {UNKNOWN}")
    header, rows = unknown_rows(results, task)
    for name in header:
        table.add_column(name, justify="left" if name == "method" else "right")
    for row in rows:
        table.add_row(*row)
    return table


def _ratios(results: Results, task: str) -> Table:
    table = Table(title=f"{task.upper()}: ratio to OurHVPA, as in the paper's Table 2")
    for name in ("method", "", *(f"{kind} {100 * f:g} %" for kind, f in COLUMNS)):
        table.add_column(name, justify="right" if "%" in name else "left")
    for row in rows_of_table_2(results, task):
        table.add_row(*row)
    return table
