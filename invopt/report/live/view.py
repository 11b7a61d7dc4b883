"""Live view of a run, in a terminal or a notebook."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from invopt.core.estimator import Estimate
from invopt.evaluate.budget import StopRun
from invopt.report.live.glimpse import Glimpse, Pictures, rows_of
from invopt.report.live.notebook import NotebookScreen
from invopt.report.live.pace import Pace
from invopt.report.live.terminal import TerminalScreen
from invopt.run.progress import Update, Watched

__all__ = ["in_notebook", "live_view"]


@contextmanager
def live_view(watched: Watched) -> Iterator[Update]:
    """Show parameters and pictures of a run during a block, and at its end."""
    screen: Any = NotebookScreen() if in_notebook() else TerminalScreen()
    pace, seen = Pace(), _Seen(watched)

    def update(estimate: Estimate, nfev: int, nit: int) -> None:
        if pace.is_due:
            with pace.drawing():
                screen.show(seen.glimpse())

    with screen:
        try:
            yield update
        finally:
            # After an error or Ctrl-C nothing more is rendered.
            if len(watched.history) > 0 and isinstance(sys.exception(), StopRun | None):
                screen.show(seen.glimpse())


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


class _Seen:
    """What is seen of a run, from its history and its objective."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        # Of large points, such as the weights of a network, the history keeps none.
        small = watched.run.problem.n <= watched.history.max_n and not watched.run.training
        self._pictures = Pictures(watched.objective, watched.run.x0) if small else None

    def glimpse(self) -> Glimpse:
        """What is seen now."""
        run, history = self._watched.run, self._watched.history
        nfev, fun, seconds = (history[name] for name in ("nfev", "fun", "seconds"))
        facts = {
            "value": f"{fun[-1]:.4g}",
            "evaluations": f"{nfev[-1]:.0f}",
            "iterations": f"{len(history) - 1}",
            "seconds": f"{seconds[-1]:.0f}",
        }
        now = None if self._pictures is None else history["x"][-1]
        return Glimpse(
            title=type(run.problem).__name__,
            facts=facts,
            rows=() if now is None else rows_of(run.problem, run.x0, now),
            nfev=nfev,
            fun=fun,
            pictures={} if now is None or self._pictures is None else self._pictures.at(now),
        )
