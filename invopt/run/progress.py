"""Progress display of a run.

It is registered from outside because nothing here prints.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias

from invopt.core.estimator import Estimate
from invopt.run.run import Run

__all__ = ["Display", "Update", "progress_of", "show_progress_by"]

# ``update(estimate, nfev, nit)`` after every iteration.
Update: TypeAlias = Callable[[Estimate, int, int], None]
# A context manager that lasts as long as a run.
Display: TypeAlias = Callable[[Run], AbstractContextManager[Update]]

_display: Display | None = None


def show_progress_by(display: Display) -> None:
    """Register the display of runs with ``progress=True``.

    Without one, nothing is shown.
    """
    global _display
    _display = display


def progress_of(run: Run) -> AbstractContextManager[Update]:
    """Return the display of a run for a block.

    It shows nothing unless the run has ``progress=True``.
    """
    return _display(run) if run.progress and _display is not None else nullcontext(_nothing)


def _nothing(estimate: Estimate, nfev: int, nit: int) -> None:
    """Show nothing."""
