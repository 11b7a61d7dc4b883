"""Service of the processes of a benchmark: run cells and write their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import frozen

from invopt.core.objective import Objective
from invopt.core.problem import Problem
from invopt.evaluate.processes.service import Loss, Service
from invopt.rendering.backend import set_threads

from .cell import Cell, Outcome, run_cell
from .store import Store

__all__ = ["LOADING_TIMEOUT", "CellReply", "CellService", "time_limit"]

# Seconds that a process may take to start, and a cell to load its scene.
LOADING_TIMEOUT = 60.0


def time_limit(cell: Cell) -> float:
    """Seconds after which a cell is killed that did not end by itself."""
    return 2 * cell.maxtime + LOADING_TIMEOUT


@frozen(kw_only=True)
class CellReply:
    """How a cell ended.

    Attributes
    ----------
    failure : str or None
        Why it failed.
    is_written : bool
        Whether the process has written its file.
    cannot_write : str
        Why no cell can be written any more; empty if they can.
    """

    failure: str | None = None
    is_written: bool = True
    cannot_write: str = ""


class CellService(Service):
    """Runs cells and writes their files.

    The task of the last cell stays open for the next.

    Parameters
    ----------
    folder : Path
        Folder of the results.
    """

    def __init__(self, folder: Path) -> None:
        self._store = Store(folder)
        self._key: tuple[Any, ...] = ()
        self._problem: Problem | None = None
        self._objective: Objective | None = None

    def open(self) -> None:
        """Keep the renderer to one thread."""
        set_threads(1, 1)

    def answer(self, request: Cell) -> CellReply:
        """Run a cell and write its file."""
        try:
            outcome = self._run(request)
        except Exception as error:  # noqa: BLE001 - a task that cannot be opened is a failed cell
            failure = f"the task cannot be opened: {type(error).__name__}: {error}"
            return CellReply(failure=failure, is_written=False)
        try:
            self._store.write(request, outcome)
        except OSError as error:
            why = f"cannot write {self._store.path(request)}: {error.strerror or error}"
            return CellReply(is_written=False, cannot_write=why)
        return CellReply(failure=outcome.record["failure"])

    def _run(self, cell: Cell) -> Outcome:
        """Run a cell; open its task first, unless it is open."""
        key = cell.task, cell.size, cell.shared_reference
        if key != self._key or self._problem is None or self._objective is None:
            self.close()
            problem = cell.problem
            self._problem, self._objective, self._key = problem, problem.open(), key
        return run_cell(cell, self._problem, self._objective)

    def close(self) -> None:
        """Close the open task."""
        if self._objective is not None:
            self._objective.close()
            self._objective = None

    def lost(self, request: Cell | None, loss: Loss) -> CellReply:
        """A failed cell."""
        if loss.timeout is not None:
            failure = f"did not end in {loss.timeout:g} s and was killed"
        else:
            log = "" if loss.log is None else f"; see {loss.log.parent.name}/{loss.log.name}"
            failure = f"its process died ({loss.how}){log}"
        return CellReply(failure=failure, is_written=False)

    def check_opened(self, result: None) -> None:
        """Accept every process: opening cannot fail without ending it."""
