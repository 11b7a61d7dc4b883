"""Commands `invopt bench` and `invopt table`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

__all__ = ["bench", "table"]

# Failures that are listed in the terminal, about half of its height; `invopt table` lists all.
_MAX_LISTED = 12


def bench(
    tasks: Annotated[list[str] | None, typer.Argument(help="Tasks; by default all.")] = None,
    methods: Annotated[
        str, typer.Option(help="Presets or estimator+method, separated by commas; by default all presets.")
    ] = "",
    seeds: Annotated[int, typer.Option(help="Number of starts of each task.")] = 20,
    first_seed: Annotated[int, typer.Option(help="Number of the first start; starts from 1000 on are for tuning.")] = 0,
    maxfev: Annotated[int | None, typer.Option(help="Evaluation budget of a run; by default that of the task.")] = None,
    maxtime: Annotated[float, typer.Option(help="Seconds after which a run counts as failed.")] = 120.0,
    workers: Annotated[int, typer.Option(help="Number of processes; each runs one cell at a time, in one thread.")] = 1,
    size: Annotated[str, typer.Option(help="Size of the tasks: tiny, default or paper.")] = "default",
    shared_reference: Annotated[
        bool, typer.Option(help="Render targets with the seed of every render, as the paper's code does.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder of the results; finished runs in it are not repeated.")] = Path(
        "out/bench"
    ),
) -> None:
    """Run a matrix of tasks and methods.

    Repeat the command to continue after an interruption.
    """
    from invopt.core.validators import require

    from .matrix import bench as run_matrix

    require("seeds", seeds >= 1, ">= 1", seeds)
    require("first_seed", first_seed >= 0, ">= 0", first_seed)
    console = Console()
    try:
        summary = run_matrix(
            tasks or [],
            [name for name in methods.split(",") if name],
            out=out,
            seeds=range(first_seed, first_seed + seeds),
            size=size,
            maxfev=maxfev,
            maxtime=maxtime,
            workers=workers,
            shared_reference=shared_reference,
        )
    except KeyboardInterrupt:
        console.print(
            f"interrupted; finished cells are kept in {out}: repeat the command to continue",
            soft_wrap=True,
            markup=False,
        )
        raise SystemExit(130) from None
    _list(console, "cannot work", summary.refused)
    _list(console, "failed", summary.failures)
    console.print(
        f"{summary.cells} cells in {out}: {summary.before} were finished before, {len(summary.failures)} of the others"
        f" failed; next: invopt table {out}",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )


def _list(console: Console, title: str, reasons: dict[str, str]) -> None:
    """Print the first reasons, and how many more there are."""
    for what, reason in list(reasons.items())[:_MAX_LISTED]:
        console.print(f"{title}: {what}: {reason}", soft_wrap=True, highlight=False, markup=False)
    if len(reasons) > _MAX_LISTED:
        console.print(f"{title}: {len(reasons) - _MAX_LISTED} more; `invopt table` lists all")


def table(
    folder: Annotated[Path, typer.Argument(help="Folder that `invopt bench` wrote.")],
    markdown: Annotated[Path | None, typer.Option(help="Markdown file; by default RESULTS.md in the folder.")] = None,
    plots: Annotated[Path | None, typer.Option(help="Folder for the plots; by default `plots` in the folder.")] = None,
    remarks: Annotated[Path | None, typer.Option(help="Markdown file with remarks to include.")] = None,
) -> None:
    """Print the tables of a matrix.

    Write them as Markdown with plots, and as Parquet.
    """
    from invopt.bench.results.markdown import write_results
    from invopt.bench.results.table import load, write_table

    console = Console()
    results = load(folder)
    for shown in _shown(results):
        console.print(shown)
    write_table(results, folder / "table.parquet")
    written = write_results(results, markdown or folder / "RESULTS.md", plots or folder / "plots", remarks)
    for path in [folder / "table.parquet", *written]:
        console.print(f"wrote {path}", soft_wrap=True, highlight=False, markup=False)


def _shown(results: object) -> list[Table]:
    """Tables for the terminal, two for each task.

    They list the renders of every method, and the ratios beside the paper's.
    """
    from invopt.bench.results.markdown import number, rows_of_table_2
    from invopt.bench.results.measures import FRACTIONS
    from invopt.bench.results.paper import COLUMNS
    from invopt.bench.results.table import Results, column

    assert isinstance(results, Results)
    tables = []
    for task in results.tasks:
        made = Table(title=f"{task.upper()}: renders until the parameter error stays below, median [quartiles]")
        for name in ("method", *(f"{100 * f:g} %" for f in FRACTIONS), "solved", "image 1 %"):
            made.add_column(name, justify="left" if name == "method" else "right")
        for method in results.methods(task):
            spreads = [results.spread(task, method, column("renders", "parameter", f)) for f in FRACTIONS]
            image = results.spread(task, method, column("renders", "image", 0.01))[0]
            cells = [f"{number(s[0], 4)} [{number(s[1], 4)}, {number(s[2], 4)}]" for s in spreads]
            made.add_row(method, *cells, " ".join(f"{s[3]}/{s[4]}" for s in spreads), number(image, 4))
        tables.append(made)
        ratios = Table(title=f"{task.upper()}: ratio to OurHVPA, as in the paper's Table 2")
        for name in ("method", "", *(f"{kind} {100 * f:g} %" for kind, f in COLUMNS)):
            ratios.add_column(name, justify="right" if "%" in name else "left")
        for row in rows_of_table_2(results, task):
            ratios.add_row(*row)
        tables.append(ratios)
    return tables
