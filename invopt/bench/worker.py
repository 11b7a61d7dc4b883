"""A process that runs cells: reads them as lines of JSON, writes their files, answers each with a line.

Run as ``python -m invopt.bench.worker FOLDER``. It ends when its standard input does, whatever it is doing: where the
parent is gone nobody waits for the cell.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from pathlib import Path
from typing import Any

from invopt.core.objective import Objective
from invopt.core.problem import Problem
from invopt.rendering.backend import set_threads

from .cell import Cell, Outcome, run_cell
from .store import Store

__all__ = ["serve"]


class _Desk:
    """The one task that is open at a time."""

    def __init__(self) -> None:
        self._key: tuple[Any, ...] = ()
        self._problem: Problem | None = None
        self._objective: Objective | None = None

    def run(self, cell: Cell) -> Outcome:
        """Run a cell, opening its task if it is not."""
        key = cell.task, cell.size, cell.shared_reference
        if key != self._key or self._problem is None or self._objective is None:
            self.close()
            problem = cell.problem
            self._problem, self._objective, self._key = problem, problem.open(), key
        return run_cell(cell, self._problem, self._objective)

    def close(self) -> None:
        """Close what is open."""
        if self._objective is not None:
            self._objective.close()
            self._objective = None


def _answer(desk: _Desk, store: Store, cell: Cell) -> dict[str, Any]:
    try:
        outcome = desk.run(cell)
    except Exception as error:  # noqa: BLE001 - a task that cannot be opened
        return {"failure": f"the task cannot be opened: {type(error).__name__}: {error}"}
    try:
        store.write(cell, outcome)
    except OSError as error:
        return {"fatal": f"cannot write {store.path(cell)}: {error.strerror or error}"}
    return {"done": outcome.record["failure"]}


def serve() -> None:
    """Answer until the input ends."""
    # What libraries print must not get among the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    set_threads(1, 1)
    desk, store = _Desk(), Store(Path(sys.argv[1]))
    while True:
        reply = _answer(desk, store, Cell(**json.loads(lines.get())))
        answers.write(json.dumps(reply) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve()
