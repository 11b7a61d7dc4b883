"""What shows the progress of a run: handed in from above, for nothing here prints."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias

from invopt.core.estimator import Estimate
from invopt.run.run import Run

__all__ = ["Display", "Update", "progress_of", "show_progress_by"]

# ``update(estimate, nfev, nit)`` after every iteration.
Update: TypeAlias = Callable[[Estimate, int, int], None]
# Opened for the length of a run.
Display: TypeAlias = Callable[[Run], AbstractContextManager[Update]]

_display: Display | None = None


def show_progress_by(display: Display) -> None:
    """Have `display` show runs that are asked for their progress; without one, nothing is shown."""
    global _display
    _display = display


def progress_of(run: Run) -> AbstractContextManager[Update]:
    """What shows a run until the end of a block; nothing unless the run asks for it."""
    return _display(run) if run.progress and _display is not None else nullcontext(_nothing)


def _nothing(estimate: Estimate, nfev: int, nit: int) -> None:
    """Show nothing."""
