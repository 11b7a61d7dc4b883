"""Runs the cells of a plan in processes of their own, one thread and one scene each."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import IO

from attrs import asdict, field, frozen

from invopt.exceptions import InvoptError
from invopt.rendering.backend import Backend, foresee

from .cell import Cell, Outcome, digest, start
from .store import Store

__all__ = ["BenchError", "run_cells"]

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# A cell that does not end of itself at its time limit is given as long again, and this many seconds to load the scene.
_GRACE = 60.0

Report = Callable[[Cell, str | None], None]


class BenchError(InvoptError, RuntimeError):
    """The benchmark cannot go on; what is finished is kept."""


def run_cells(cells: list[Cell], store: Store, workers: int, report: Report) -> None:
    """Run cells that have no file yet and write one for each.

    Parameters
    ----------
    cells : list of Cell
    store : Store
        Where they are kept.
    workers : int
        Processes; where a GPU renders, one process owns it.
    report : callable
        ``report(cell, failure)`` after each, from any thread.

    Raises
    ------
    BenchError
        If cells cannot be written. What is finished is kept.
    """
    if foresee() is Backend.CUDA:
        workers = 1
    hands = [_Hand(store=store, number=i) for i in range(min(workers, len(cells)))]
    work = _Work(cells)
    threads = [threading.Thread(target=_drain, args=(hand, work, report), daemon=True) for hand in hands]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            # An endless wait would not notice Ctrl-C everywhere.
            while thread.is_alive():
                thread.join(0.2)
    finally:
        work.stop()
        for hand in hands:
            hand.end()
    if work.error is not None:
        raise work.error


class _Work:
    """Cells that wait, task by task, handed out under a lock."""

    def __init__(self, cells: list[Cell]) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[Cell]] = {}
        self._busy: dict[str, int] = {}
        self.error: Exception | None = None
        for cell in cells:
            self._waiting.setdefault(cell.task, deque()).append(cell)

    def next(self, task: str | None) -> Cell | None:
        """A cell of the task at hand if there is one; else of the task that fewest work on and most cells wait in."""
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
        """Hand out nothing more."""
        with self._lock:
            self._waiting.clear()
            self.error = self.error or error


def _drain(hand: _Hand, work: _Work, report: Report) -> None:
    """Run cells until none is left."""
    task: str | None = None
    try:
        while (cell := work.next(task)) is not None:
            task = cell.task
            report(cell, hand.run(cell))
    except Exception as error:  # noqa: BLE001 - raised again where the threads are joined
        work.stop(error)


@frozen(kw_only=True, eq=False)
class _Hand:
    """A process that runs one cell at a time, started when it is first needed and again whenever it has died."""

    store: Store
    number: int
    _process: list[subprocess.Popen[str]] = field(factory=list)
    _ended: threading.Event = field(factory=threading.Event)

    def run(self, cell: Cell) -> str | None:
        """Run a cell; returns why it failed, if it did."""
        process = self._started()
        overrun = threading.Event()

        def cut() -> None:
            overrun.set()
            process.kill()

        timer = threading.Timer(2 * cell.maxtime + _GRACE, cut)
        timer.start()
        try:
            reply = _exchange(process, cell)
        finally:
            timer.cancel()
        if reply is None:
            if self._ended.is_set():
                raise BenchError("interrupted")
            return self._bury(process, cell, overrun.is_set())
        if "fatal" in reply:
            raise BenchError(f"{reply['fatal']}; finished cells are kept: make room and run the same command again")
        if "failure" in reply:
            return self._note(cell, str(reply["failure"]))
        return reply["done"]

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self._ended.set()
        for process in self._process:
            process.kill()
            _close(process)

    def _started(self) -> subprocess.Popen[str]:
        if self._process and self._process[-1].poll() is None:
            return self._process[-1]
        if self._ended.is_set():
            raise BenchError("interrupted")
        paths = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        with self._log() as log:
            process = subprocess.Popen(
                # -P: not from a checkout that happens to be the current folder, but from where this process has it.
                [sys.executable, "-P", "-m", "invopt.bench.worker", str(self.store.folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | _ONE_THREAD | {"PYTHONPATH": paths},
                # Ctrl-C is the parent's to see.
                start_new_session=True,
            )
        self._process[:] = [process]
        return process

    def _log(self) -> IO[str]:
        folder = self.store.folder / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / f"worker-{self.number}.log").open("a")

    def _bury(self, process: subprocess.Popen[str], cell: Cell, overrun: bool) -> str:
        code = _close(process)
        died = f"its process died with code {code}; see logs/worker-{self.number}.log"
        return self._note(cell, f"did not end in {2 * cell.maxtime + _GRACE:g} s and was killed" if overrun else died)

    def _note(self, cell: Cell, failure: str) -> str:
        """Keep a cell whose process could not."""
        problem = cell.problem
        x0 = start(problem, cell.seed)
        record = asdict(cell) | {"n": problem.n, "x0_digest": digest(x0), "failure": failure}
        try:
            self.store.write(cell, Outcome(record, {}))
        except OSError as error:
            raise BenchError(f"cannot write {self.store.path(cell)}: {error}; finished cells are kept") from error
        return failure


def _close(process: subprocess.Popen[str]) -> int:
    """Wait for the end of a process and close its pipes; returns its exit code."""
    for pipe in (process.stdin, process.stdout):
        # What was not sent is of no interest to the dead.
        with contextlib.suppress(BrokenPipeError):
            if pipe is not None:
                pipe.close()
    return process.wait()


def _exchange(process: subprocess.Popen[str], cell: Cell) -> dict[str, str | None] | None:
    """Send a cell and wait for the answer; None if the process dies over it."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(json.dumps(asdict(cell)) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if line:
            reply: dict[str, str | None] = json.loads(line)
            return reply
    return None
