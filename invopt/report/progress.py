"""Progress bar of a run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from invopt.core.estimator import Estimate
from invopt.run.progress import Update
from invopt.run.run import Run

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(run: Run) -> Iterator[Update]:
    """Show evaluations, value and sigma of a run on stderr during a block."""
    by_evaluations = run.maxfev < math.inf
    total = run.maxfev if by_evaluations else run.maxiter
    bar = Progress(
        TextColumn(type(run.problem).__name__),
        BarColumn(),
        TextColumn("{task.fields[text]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task("", total=total if total < math.inf else None, text="")

    def update(estimate: Estimate, nfev: int, nit: int) -> None:
        metrics = {"sigma": estimate.sigma} if estimate.sigma > 0 else estimate.metrics
        shown = "  ".join(f"{name} = {value:.3g}" for name, value in metrics.items())
        text = f"f = {estimate.fun:.4g}  {shown}  {nfev} evaluations"
        bar.update(task, completed=nfev if by_evaluations else nit, text=text)

    with bar:
        yield update
