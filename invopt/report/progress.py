"""Progress bar of a run."""

from __future__ import annotations

import math
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from invopt._estimator import Estimate
    from invopt._prepare import Run

__all__ = ["ProgressBar"]


class ProgressBar:
    """Shows evaluations, value and width of a run on stderr; does nothing where `run.progress` is False."""

    def __init__(self, run: Run) -> None:
        self._bar: Progress | None = None
        self._by_evaluations = run.maxfev < math.inf
        total = run.maxfev if self._by_evaluations else run.maxiter
        if run.progress:
            self._bar = Progress(
                TextColumn(type(run.problem).__name__),
                BarColumn(),
                TextColumn("{task.fields[text]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("", total=total if total < math.inf else None, text="")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, estimate: Estimate, nfev: int, nit: int) -> None:
        """Show the newest estimate."""
        if self._bar is not None:
            facts = {"sigma": estimate.sigma} if estimate.sigma > 0 else estimate.facts
            shown = "  ".join(f"{name} = {value:.3g}" for name, value in facts.items())
            text = f"f = {estimate.fun:.4g}  {shown}  {nfev} evaluations"
            self._bar.update(self._task, completed=nfev if self._by_evaluations else nit, text=text)
