"""Runs the cells of a plan in processes, one thread and one scene each."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError
from functools import partial

from attrs import asdict

from invopt.evaluate.processes.pool import Pool
from invopt.evaluate.processes.process import WorkerProcess
from invopt.exceptions import InvoptError
from invopt.rendering.backend import Backend, foresee

from .cell import Cell, Outcome, digest, start
from .service import LOADING_TIMEOUT, CellReply, CellService, time_limit
from .store import Store

__all__ = ["BenchError", "run_cells"]

Report = Callable[[Cell, str | None], None]


class BenchError(InvoptError, RuntimeError):
    """The benchmark cannot continue; finished cells are kept."""


def run_cells(cells: list[Cell], store: Store, workers: int, report: Report) -> None:
    """Run cells and write a file for each.

    Parameters
    ----------
    cells : list of Cell
        Cells that have no file yet.
    store : Store
        Where they are kept.
    workers : int
        Number of processes; where a GPU renders, one process owns it.
    report : callable
        ``report(cell, failure)`` after each cell, from any thread.

    Raises
    ------
    BenchError
        If cells cannot be written. Finished cells are kept.
    """
    k = 1 if foresee() is Backend.CUDA else min(workers, len(cells))
    logs = [store.folder / "logs" / f"worker-{i}.log" for i in range(k)]
    work = _Work(cells)
    with Pool(CellService(store.folder), k, logs=logs, opening_timeout=LOADING_TIMEOUT) as pool:
        try:
            pool.on_each(partial(_drain, work, store, report))
        finally:
            work.stop()
    if work.error is not None:
        raise work.error


class _Work:
    """Cells that wait, by task, handed out under a lock."""

    def __init__(self, cells: list[Cell]) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[Cell]] = {}
        self._busy: dict[str, int] = {}
        self.error: Exception | None = None
        for cell in cells:
            self._waiting.setdefault(cell.task, deque()).append(cell)

    def next(self, task: str | None) -> Cell | None:
        """A cell of the open task if one waits.

        Else of the task with fewest processes and most cells that wait.
        """
        with self._lock:
            if task is not None and self._waiting.get(task):
                return self._waiting[task].popleft()
            if task is not None:
                self._busy[task] -= 1
            left = [name for name, queue in self._waiting.items() if queue]
            if not left:
                return None
            chosen = min(left, key=lambda name: (self._busy.get(name, 0), -len(self._waiting[name])))
            self._busy[chosen] = self._busy.get(chosen, 0) + 1
            return self._waiting[chosen].popleft()

    def stop(self, error: Exception | None = None) -> None:
        """Hand out no more cells."""
        with self._lock:
            self._waiting.clear()
            self.error = self.error or error


def _drain(work: _Work, store: Store, report: Report, process: WorkerProcess) -> None:
    """Run cells in a process until none is left."""
    task: str | None = None
    try:
        while (cell := work.next(task)) is not None:
            task = cell.task
            report(cell, _checked(store, cell, process.ask(cell, time_limit(cell))))
    except CancelledError:
        # The pool is closed because the benchmark was interrupted or has failed.
        work.stop()
    except Exception as error:  # noqa: BLE001 - raised again once all threads have ended
        work.stop(error)


def _checked(store: Store, cell: Cell, reply: CellReply) -> str | None:
    """Why a cell failed, or None; writes the file of a cell whose process could not."""
    if reply.cannot_write:
        raise BenchError(f"{reply.cannot_write}; finished cells are kept: make room and run the same command again")
    if not reply.is_written:
        problem = cell.problem
        x0 = start(problem, cell.seed)
        record = asdict(cell) | {"n": problem.n, "x0_digest": digest(x0), "failure": reply.failure}
        try:
            store.write(cell, Outcome(record, {}))
        except OSError as error:
            raise BenchError(f"cannot write {store.path(cell)}: {error}; finished cells are kept") from error
    return reply.failure
