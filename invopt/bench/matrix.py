"""`bench`: runs the cells of a matrix that are missing in a folder."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from attrs import frozen
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from invopt.core.validators import as_integer, require

from .cell import Cell
from .environment import environment
from .plan import Plan, make_plan
from .runner import run_cells
from .store import MATRIX_VERSION, Store

__all__ = ["Summary", "bench"]

# Seconds over which the bar estimates the speed: cells take seconds to minutes, so that a shorter period would jump.
_SPEED_PERIOD = 600


@frozen
class Summary:
    """How a matrix ended.

    Attributes
    ----------
    cells : int
        Finished cells.
    before : int
        Cells that were finished before.
    failures : dict of str
        Why each of the new cells that failed did, by task, method and seed.
    refused : dict of str
        Why each pairing that cannot work was not run.
    """

    cells: int
    before: int
    failures: dict[str, str]
    refused: dict[str, str]


def bench(
    tasks: Sequence[str] = (),
    methods: Sequence[str] = (),
    *,
    out: str | Path,
    seeds: int | Iterable[int] = 20,
    size: str = "default",
    maxfev: int | None = None,
    maxtime: float = 120.0,
    workers: int = 1,
    shared_reference: bool = False,
    progress: bool | None = None,
) -> Summary:
    """Run a matrix of tasks and methods, except cells that are finished.

    Parameters
    ----------
    tasks, methods, seeds, size, maxfev, maxtime, shared_reference
        As of `make_plan`.
    out : path
        Folder of the results; an interrupted matrix continues there.
    workers : int, default 1
        Number of processes; each runs one cell at a time, in one thread.
    progress : bool, optional
        Show a progress bar on stderr; by default if that is a terminal.

    Raises
    ------
    TypeError, ValueError
        For invalid arguments; `UnknownNameError` for unknown tasks and methods; `ResultsError` for a folder of another
        matrix.
    """
    require("workers", as_integer("workers", workers) >= 1, ">= 1", workers)
    plan = make_plan(
        tasks,
        methods,
        seeds=seeds,
        size=size,
        maxfev=maxfev,
        maxtime=maxtime,
        shared_reference=shared_reference,
    )
    store = Store(Path(out).absolute())
    store.begin(_description(plan, size, maxfev, maxtime, shared_reference))
    missing = [cell for cell in plan.cells if not store.path(cell).exists()]
    failures: dict[str, str] = {}
    with _bar(progress, len(plan.cells), len(plan.cells) - len(missing)) as bar:
        _run(missing, store, workers, bar, failures)
    return Summary(len(plan.cells), len(plan.cells) - len(missing), failures, plan.refused)


def _run(cells: list[Cell], store: Store, workers: int, bar: Progress, failures: dict[str, str]) -> None:
    lock = threading.Lock()

    def report(cell: Cell, failure: str | None) -> None:
        with lock:
            if failure is not None:
                failures[f"{cell.task} {cell.method} {cell.seed}"] = failure
            bar.advance(bar.task_ids[0])

    if cells:
        run_cells(cells, store, workers, report)


def _description(
    plan: Plan, size: str, maxfev: int | None, maxtime: float, shared_reference: bool
) -> dict[str, object]:
    found = environment()
    settings = {"size": size, "maxfev": maxfev, "maxtime": maxtime, "shared_reference": shared_reference}
    return {
        "version": MATRIX_VERSION,
        "fixed": settings | found["numbers"],
        "machine": found["machine"],
        "commands": [found["command"]],
        "cells": sorted([cell.task, cell.method, cell.seed] for cell in plan.cells),
        "refused": plan.refused,
    }


def _bar(progress: bool | None, total: int, done: int) -> Progress:
    """Progress bar on stderr."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("cells"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        disable=not (console.is_terminal if progress is None else progress),
        speed_estimate_period=_SPEED_PERIOD,
    )
    bar.add_task("", total=total, completed=done)
    return bar
