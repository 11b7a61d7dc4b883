"""Commands `invopt bench` and `invopt table`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

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
    from invopt.bench.results.terminal import tables

    console = Console()
    results = load(folder)
    for shown in tables(results):
        console.print(shown)
    write_table(results, folder / "table.parquet")
    written = write_results(results, markdown or folder / "RESULTS.md", plots or folder / "plots", remarks)
    for path in [folder / "table.parquet", *written]:
        console.print(f"wrote {path}", soft_wrap=True, highlight=False, markup=False)
