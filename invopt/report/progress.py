"""Displays of a run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from invopt.core.estimator import Estimate
from invopt.run.progress import Update, Watched

__all__ = ["live_view", "progress_bar"]


@contextmanager
def progress_bar(watched: Watched) -> Iterator[Update]:
    """Show evaluations, value and sigma of a run on stderr during a block."""
    run = watched.run
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


def live_view(watched: Watched) -> AbstractContextManager[Update]:
    """Show parameters and pictures of a run during a block."""
    # Pictures need the framework's part for renderers, which a run of a function does not import.
    from invopt.report.live import view

    return view.live_view(watched)
