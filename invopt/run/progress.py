"""Displays of a run.

They are registered from outside because nothing here prints.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias

from attrs import frozen

from invopt.core.estimator import Estimate
from invopt.core.objective import Objective
from invopt.core.result import History
from invopt.run.run import Run

__all__ = ["LIVE", "Display", "Update", "Watched", "progress_of", "show_progress_by"]

# Value of `progress` that shows parameters and pictures.
LIVE = "live"


@frozen(eq=False)
class Watched:
    """A run as a display sees it.

    Attributes
    ----------
    run : Run
        Its parts and settings.
    objective : Objective
        The open objective, for pictures.
    history : History
        Its iterations so far.
    """

    run: Run
    objective: Objective
    history: History


# ``update(estimate, nfev, nit)`` after every iteration.
Update: TypeAlias = Callable[[Estimate, int, int], None]
# A context manager that lasts as long as a run.
Display: TypeAlias = Callable[[Watched], AbstractContextManager[Update]]

_displays: dict[bool | str, Display] = {}


def show_progress_by(display: Display, *, live: Display) -> None:
    """Register the displays of runs with ``progress=True`` and ``progress="live"``.

    Without them, nothing is shown.
    """
    _displays.update({True: display, LIVE: live})


def progress_of(watched: Watched) -> AbstractContextManager[Update]:
    """Return the display of a run for a block.

    It shows nothing unless the run has `progress`.
    """
    display = _displays.get(watched.run.progress)
    return nullcontext(_nothing) if display is None else display(watched)


def _nothing(estimate: Estimate, nfev: int, nit: int) -> None:
    """Show nothing."""
